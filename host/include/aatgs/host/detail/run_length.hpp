// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace aatgs::detail {

/// How many of the configs that wait the next graph takes, 1 to `most`: as many as are of the form
/// 2^k or 3 * 2^k, since each length is a graph of its own. At least one waits.
constexpr std::uint32_t run_length(std::uint64_t waiting, std::uint32_t most) {
  const std::uint64_t wish = std::min<std::uint64_t>(waiting, most);
  const std::uint64_t power = std::bit_floor(wish);
  return static_cast<std::uint32_t>(wish >= power + power / 2 ? power + power / 2 : power);
}

}  // namespace aatgs::detail
