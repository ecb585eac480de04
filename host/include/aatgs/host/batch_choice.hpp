// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/completion.hpp>
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace aatgs {

/// A way to run configs that are all known beforehand, faster than one by one. While it runs,
/// nothing else of its context is on the GPU.
template <class Config, class Telemetry>
class BatchRoad {
 public:
  BatchRoad() = default;
  BatchRoad(const BatchRoad&) = delete;
  BatchRoad& operator=(const BatchRoad&) = delete;
  virtual ~BatchRoad() = default;

  /// Such as "one launch".
  [[nodiscard]] virtual std::string name() const = 0;
  /// Runs all, under the tickets from `first_ticket` on; returns when `results[i]` holds what
  /// `configs[i]` came to. Throws `DeviceError`, and `UseError` if an abort has left some out.
  virtual void run(std::uint64_t first_ticket, std::span<const Config> configs,
                   std::span<Completion<Telemetry>> results) = 0;
  /// Starts no more configs, for good: `run` ends when those at work have, and these hear of it
  /// where they ask `stop_requested`. From any thread.
  virtual void request_abort() = 0;
};

/// How the configs of a known batch are run.
enum class BatchWay { one_by_one, together };

/// Chooses the way by what the user's first batches took, separately for each power of two of their
/// size: some on the way that is on the GPU already, as many on the other. Medians, so that the
/// first of each, which pays for the change, does not matter.
class BatchChoice {
 public:
  /// The way for a batch of so many, `now` being the present one.
  [[nodiscard]] BatchWay next(std::size_t count, BatchWay now) const {
    const auto found = sizes_.find(class_of(count));
    if (found == sizes_.end() || !found->second.is_full(now)) return now;
    const BatchWay other = now == BatchWay::together ? BatchWay::one_by_one : BatchWay::together;
    return found->second.is_full(other) ? found->second.winner() : other;
  }

  [[nodiscard]] bool is_decided(std::size_t count) const {
    const auto found = sizes_.find(class_of(count));
    return found != sizes_.end() && found->second.is_decided();
  }

  void record(std::size_t count, BatchWay way, std::uint64_t ns) {
    sizes_[class_of(count)].of(way).push_back(static_cast<double>(ns) / static_cast<double>(count));
  }

  /// "; batches of 512 to 1023: one launch 0.04 us per config, one by one 0.06 us" for each size
  /// that is decided.
  [[nodiscard]] std::string account(const std::string& together) const {
    std::string text;
    for (const auto& [bits, size] : sizes_) {
      if (!size.is_decided()) continue;
      char figures[64];
      std::snprintf(figures, sizeof figures, " %.3g us per config, one by one %.3g us",
                    size.median(BatchWay::together) / 1e3, size.median(BatchWay::one_by_one) / 1e3);
      const std::uint64_t least = std::uint64_t{1} << (bits - 1);
      text += "; batches of " + std::to_string(least) + " to " + std::to_string(2 * least - 1) +
              ": " + together + figures;
    }
    return text;
  }

 private:
  static constexpr std::size_t batches = 5;  ///< of each way
  static constexpr double gain = 0.98;       ///< so much less time, to be worth a change

  struct Size {
    std::array<std::vector<double>, 2> ns;  ///< per config, by way

    [[nodiscard]] std::vector<double>& of(BatchWay way) {
      return ns[static_cast<std::size_t>(way)];
    }
    [[nodiscard]] bool is_full(BatchWay way) const {
      return ns[static_cast<std::size_t>(way)].size() >= batches;
    }
    [[nodiscard]] bool is_decided() const {
      return is_full(BatchWay::one_by_one) && is_full(BatchWay::together);
    }
    [[nodiscard]] double median(BatchWay way) const {
      std::vector<double> sorted = ns[static_cast<std::size_t>(way)];
      std::sort(sorted.begin(), sorted.end());
      return sorted[sorted.size() / 2];
    }
    [[nodiscard]] BatchWay winner() const {
      return median(BatchWay::together) < gain * median(BatchWay::one_by_one)
                 ? BatchWay::together
                 : BatchWay::one_by_one;
    }
  };

  static int class_of(std::size_t count) { return static_cast<int>(std::bit_width(count)); }

  std::map<int, Size> sizes_;  ///< by `class_of` the count
};

}  // namespace aatgs
