// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// Reads, or writes, what will not be needed again soon: the first to leave the GPU's caches when
/// `streamed`.
template <bool streamed, class T>
AATGS_HOST_DEVICE T load_once(const T* from) {
#if defined(__CUDA_ARCH__)
  if constexpr (streamed) return __ldcs(from);
#endif
  return *from;
}
template <bool streamed, class T>
AATGS_HOST_DEVICE void store_once(T* to, T value) {
#if defined(__CUDA_ARCH__)
  if constexpr (streamed) {
    __stcs(to, value);
    return;
  }
#endif
  *to = value;
}

/// Lets memory begin to bring `bytes`, which a thread will soon read once. Multiples of 16; only
/// newer GPUs have it (sm_90).
AATGS_HOST_DEVICE inline void announce_read(const void* from, std::size_t bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  std::uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  asm volatile("cp.async.bulk.prefetch.L2.global.L2::cache_hint [%0], %1, %2;" ::"l"(
                   __cvta_generic_to_global(from)),
               "r"(static_cast<std::uint32_t>(bytes)), "l"(policy));
#else
  static_cast<void>(from);
  static_cast<void>(bytes);
#endif
}

}  // namespace aatgs::linear
