// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <aatgs/runtime/host_memory.hpp>
#include <cstddef>

/// Marks what runs on host and GPU alike; plain C++ compilers see nothing.
#if defined(__CUDACC__)
#define AATGS_HOST_DEVICE __host__ __device__
#else
#define AATGS_HOST_DEVICE
#endif

/// Stands before a function that a step's body may name but that only the host ever runs (the CPU
/// group, marked AATGS_HOST_DEVICE): nvcc would otherwise warn about the host calls inside it.
#if defined(__CUDACC__)
#define AATGS_NO_EXEC_CHECK _Pragma("nv_exec_check_disable")
#else
#define AATGS_NO_EXEC_CHECK
#endif

/// Keeps a function's code apart from that of its callers.
#define AATGS_NOINLINE __attribute__((noinline))

namespace aatgs {

/// Words written by different sides live this far apart: one 64-byte line for the host, and the
/// adjacent-line prefetcher and the GPU's 128-byte lines make it two.
inline constexpr std::size_t line_bytes = 128;

/// One breath inside a host spin loop.
inline void cpu_relax() noexcept {
  _mm_pause();
}

/// Orders all of this thread's earlier stores before its later loads, on the host or on the GPU for
/// the whole system.
AATGS_HOST_DEVICE inline void full_fence() noexcept {
#if defined(__CUDA_ARCH__)
  __threadfence_system();
#else
  host_memory::fence();
#endif
}

}  // namespace aatgs
