// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <bit>
#include <cstdint>

namespace aatgs {

/// Bits that are set.
AATGS_HOST_DEVICE inline std::uint32_t count_bits(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__popc(bits));
#else
  return static_cast<std::uint32_t>(std::popcount(bits));
#endif
}

/// Place of the lowest bit that is set; there is one.
AATGS_HOST_DEVICE inline std::uint32_t lowest_bit(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return static_cast<std::uint32_t>(__ffs(static_cast<int>(bits)) - 1);
#else
  return static_cast<std::uint32_t>(std::countr_zero(bits));
#endif
}

}  // namespace aatgs
