// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "line.hpp"

namespace aatgs::monitor {

/// The least and the most of a number.
struct Span {
  std::uint64_t least = 0;
  std::uint64_t most = 0;

  void include(std::uint64_t value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  void include(const std::optional<Span>& other) {
    if (!other) return;
    include(other->least);
    include(other->most);
  }
};

inline void include(std::optional<Span>& span, std::uint64_t value) {
  span ? span->include(value) : static_cast<void>(span = Span{value, value});
}

/// Conflicts and colors over time for any number of records in fixed memory: equal intervals, which
/// become twice as long when time goes beyond the last.
class TimeSeries {
 public:
  static constexpr std::size_t most_bins = 512;

  struct Bin {
    std::optional<Span> conflicts;
    std::optional<Span> colors;  ///< of records that tell them
  };
  struct Best {
    std::uint64_t colors = 0;
    std::int64_t unix_ns = 0;
  };

  void add(const Record& record);

  [[nodiscard]] const std::vector<Bin>& bins() const { return bins_; }
  [[nodiscard]] std::int64_t start_unix_ns() const { return start_; }
  [[nodiscard]] std::int64_t bin_ns() const { return width_; }
  [[nodiscard]] std::int64_t last_unix_ns() const { return last_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  /// The fewest colors without conflicts, and when they were first had.
  [[nodiscard]] const std::optional<Best>& best() const { return best_; }

 private:
  void double_width();

  std::vector<Bin> bins_;
  std::int64_t start_ = 0;
  std::int64_t last_ = 0;
  std::int64_t width_ = 1000;
  std::uint64_t records_ = 0;
  std::optional<Best> best_;
};

}  // namespace aatgs::monitor
