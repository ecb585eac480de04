// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>

namespace aatgs {

/// Begins to copy 16 bytes from a worker's memory into its scratch: there after `finish_copies` of
/// the same thread, and for others after a sync. The thread goes on meanwhile. On CPU threads it is
/// done at once.
template <class Piece>
AATGS_HOST_DEVICE inline void begin_copy(Piece* to, const Piece* from) {
  static_assert(sizeof(Piece) == 16 && alignof(Piece) == 16);
#if defined(__CUDA_ARCH__)
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
#else
  *to = *from;
#endif
}

/// Waits for the copies that this thread has begun.
AATGS_HOST_DEVICE inline void finish_copies() {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

}  // namespace aatgs
