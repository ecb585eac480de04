// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::stencil {

/// How n x n inner points lie in memory: rows on 128-byte lines, and zeros around them that stand
/// for the edge of the domain. Nobody writes anything else there.
struct FieldLayout {
  static constexpr std::int32_t margin = 32;  ///< columns to the left of the first

  std::int32_t n;
  std::int32_t pitch;  ///< from one row to the next

  /// Room for columns up to `right_end`, at least one beyond the last.
  static constexpr FieldLayout of(std::int32_t n, std::int32_t right_end) {
    const std::int32_t columns = margin + (right_end > n + 1 ? right_end : n + 1);
    return {n, (columns + 31) / 32 * 32};
  }

  /// Of all values, zeros included.
  [[nodiscard]] constexpr std::size_t size() const {
    return (static_cast<std::size_t>(n) + 2) * static_cast<std::size_t>(pitch);
  }
  /// Index of the point in column x of row y; -1 and n are on the edge.
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::ptrdiff_t at(std::int32_t x,
                                                              std::int32_t y) const {
    return static_cast<std::ptrdiff_t>(y + 1) * pitch + margin + x;
  }
};

}  // namespace aatgs::stencil
