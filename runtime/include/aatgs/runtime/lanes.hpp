// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <concepts>
#include <cstdint>

namespace aatgs {

/// The threads that move one message together: a GPU warp, or one CPU thread. The rings are written
/// against this, so that both sides run the same code.
template <class L>
concept Lanes = requires(const L lanes, bool flag) {
  { lanes.rank() } -> std::convertible_to<std::uint32_t>;
  { lanes.size() } -> std::convertible_to<std::uint32_t>;
  { lanes.all(flag) } -> std::same_as<bool>;
};

/// One thread on its own.
struct SingleLane {
  AATGS_HOST_DEVICE static constexpr std::uint32_t rank() { return 0; }
  AATGS_HOST_DEVICE static constexpr std::uint32_t size() { return 1; }
  AATGS_HOST_DEVICE static constexpr bool all(bool flag) { return flag; }
};

}  // namespace aatgs
