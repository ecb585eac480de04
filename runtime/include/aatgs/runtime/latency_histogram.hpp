// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace aatgs {

/// Percentiles of many durations in fixed memory: 32 buckets per octave (as HdrHistogram does), so
/// a percentile is at most 3.2 % too high. Not thread-safe.
class LatencyHistogram {
 public:
  /// `times`: that many of this value.
  void record(std::uint64_t value, std::uint64_t times = 1) {
    buckets_[bucket_of(value)] += times;
    count_ += times;
    max_ = std::max(max_, value);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }

  /// Upper edge of the bucket that holds the given share (0 to 1) of the values; 0 when empty.
  [[nodiscard]] std::uint64_t percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      passed += buckets_[i];
      if (passed > wanted) return std::min(upper_edge(i), max_);
    }
    return max_;
  }

  void clear() { *this = LatencyHistogram(); }

 private:
  static constexpr unsigned sub_bits = 5;
  static constexpr std::uint64_t sub_count = 1U << sub_bits;

  static constexpr std::size_t bucket_of(std::uint64_t value) {
    if (value < sub_count) return static_cast<std::size_t>(value);
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - 1 - sub_bits;
    return static_cast<std::size_t>((octave + 1) * sub_count + ((value >> octave) - sub_count));
  }
  static constexpr std::uint64_t upper_edge(std::size_t bucket) {
    if (bucket < sub_count) return bucket;
    const std::uint64_t octave = bucket / sub_count - 1;
    return ((bucket % sub_count + sub_count + 1) << octave) - 1;
  }

  std::array<std::uint64_t, (64 - sub_bits + 1) * sub_count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace aatgs
