// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace aatgs {

/// Measures what a config costs on one executor, in the pattern in which the user feeds it: wall
/// time from telemetry to telemetry, the median of several windows, after a warm-up. Times are in
/// nanoseconds of any clock.
class Trial {
 public:
  /// A config was accepted; so many are in flight now.
  void submitted(std::uint64_t in_flight) { depth_ = std::max(depth_, in_flight); }

  /// A telemetry was collected.
  void collected(std::uint64_t now) {
    ++configs_;
    if (configs_ == 1) begin_ = now;
    const std::uint64_t ns = now - begin_;
    ++count_;
    if (is_warm_) {
      const bool is_full = count_ >= 2 * std::max(depth_, least_depth);
      if (!is_full && (ns < long_window_ns || count_ < depth_)) return;
      windows_.push_back(static_cast<double>(ns) / static_cast<double>(count_));
      measured_ns_ += ns;
    } else {
      const bool is_enough = count_ > 2 * std::max(depth_, least_depth);
      if (!is_enough && (ns < long_warm_up_ns || count_ <= depth_)) return;
      is_warm_ = true;
    }
    begin_ = now;
    count_ = 0;
  }

  [[nodiscard]] bool done() const {
    return windows_.size() >= most_windows ||
           (windows_.size() >= least_windows && measured_ns_ >= long_trial_ns);
  }
  /// Median. After the first window.
  [[nodiscard]] double ns_per_config() const {
    std::vector<double> sorted = windows_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
  }
  /// Most configs that were in flight.
  [[nodiscard]] std::uint64_t depth() const { return depth_; }
  /// Telemetries collected, those of the warm-up too.
  [[nodiscard]] std::uint64_t configs() const { return configs_; }

 private:
  static constexpr std::uint64_t least_depth = 8;
  static constexpr std::size_t least_windows = 3;
  static constexpr std::size_t most_windows = 9;
  // Long steps get by with fewer configs: a window holds at least as many as are in flight.
  static constexpr std::uint64_t long_window_ns = 1'000'000;
  static constexpr std::uint64_t long_warm_up_ns = 2'000'000;
  static constexpr std::uint64_t long_trial_ns = 10'000'000;

  std::uint64_t depth_ = 0;
  std::uint64_t configs_ = 0;
  std::uint64_t count_ = 0;  // of this window, or of the warm-up
  std::uint64_t begin_ = 0;
  std::uint64_t measured_ns_ = 0;
  bool is_warm_ = false;
  std::vector<double> windows_;
};

}  // namespace aatgs
