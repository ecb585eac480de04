// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace aatgs::soak {

/// How much memory was in use at moments at which it should always be the same.
class MemorySeries {
 public:
  void add(std::uint64_t bytes) { samples_.push_back(bytes); }

  [[nodiscard]] std::size_t size() const { return samples_.size(); }
  [[nodiscard]] std::uint64_t first() const { return samples_.empty() ? 0 : samples_.front(); }
  [[nodiscard]] std::uint64_t last() const { return samples_.empty() ? 0 : samples_.back(); }
  /// Up to so many samples, evenly spread over all.
  [[nodiscard]] std::vector<std::uint64_t> outline(std::size_t count) const;
  /// Bytes per sample, by least squares, without the first quarter, in which caches fill.
  [[nodiscard]] double slope() const;
  /// Median of the last quarter less that of the second; empty with fewer than 16 samples.
  [[nodiscard]] std::optional<std::int64_t> growth() const;

 private:
  [[nodiscard]] std::int64_t median(std::size_t begin, std::size_t end) const;

  std::vector<std::uint64_t> samples_;
};

}  // namespace aatgs::soak
