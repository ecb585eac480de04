// SPDX-License-Identifier: Apache-2.0
// What tiles need of the GPU beyond plain C++.
#pragma once

#include <aatgs/device/primitives.cuh>
#include <cstdint>

namespace aatgs::stencil {

/// Values that a thread loads and stores together.
template <class T, unsigned count>
struct alignas(sizeof(T) * count) Pack {
  T value[count];
};

/// Tells all blocks that what this block wrote before its last `sync_block` is there. One thread.
__device__ inline void post(std::uint32_t* flag, std::uint32_t value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

/// Reads such a flag; what was written before it can be read after the next `sync_block`.
__device__ inline std::uint32_t look(const std::uint32_t* flag) {
  std::uint32_t seen;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
  return seen;
}

/// Copies a pack from device to shared memory on the side; `finish_copies` of the same thread ends
/// it.
template <class Packed>
__device__ inline void begin_copy(Packed* shared, const Packed* from) {
#if __CUDA_ARCH__ >= 800
  if constexpr (sizeof(Packed) == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))),
                 "l"(from)
                 : "memory");
    return;
  }
#endif
  *shared = *from;
}
__device__ inline void finish_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

/// Lets memory begin to bring `bytes`, a multiple of 16 on a 16-byte boundary, to the L2 cache.
__device__ inline void announce(const void* from, std::uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(from)),
               "r"(bytes)
               : "memory");
#else
  static_cast<void>(from);
  static_cast<void>(bytes);
#endif
}

/// `value` of another thread of the warp; all call it.
template <class T>
__device__ inline T from_lane(T value, unsigned lane) {
  return __shfl_sync(~0U, value, static_cast<int>(lane));
}

}  // namespace aatgs::stencil
