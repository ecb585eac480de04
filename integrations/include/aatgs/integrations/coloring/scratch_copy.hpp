// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace aatgs::coloring {

/// Begins to copy memory to the block's scratch; all of its threads together. Both begin at
/// multiples of 16 bytes and, on a GPU, have room for whole pieces of 16 bytes to their ends.
/// Copies that were begun one after the other wait for memory only once.
template <class Group>
AATGS_HOST_DEVICE void begin_copy_in(Group& group, void* scratch, const void* memory,
                                     std::size_t bytes) {
  auto* to = static_cast<unsigned char*>(scratch);
  const auto* from = static_cast<const unsigned char*>(memory);
  const std::size_t stride = std::size_t{16} * group.block_size();
  for (std::size_t at = std::size_t{16} * group.block_rank(); at < bytes; at += stride) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     static_cast<std::uint32_t>(__cvta_generic_to_shared(to + at))),
                 "l"(from + at)
                 : "memory");
#else
    memcpy(to + at, from + at, bytes - at < 16 ? bytes - at : 16);
#endif
  }
}

/// Waits for the copies of all threads of the block.
template <class Group>
AATGS_HOST_DEVICE void end_copy_in(Group& group) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
  group.sync_block();
}

/// Copies from the block's scratch to memory, `bytes` a multiple of 16; all threads of the block
/// together, after a `sync_block`.
template <class Group>
AATGS_HOST_DEVICE void copy_out(Group& group, void* memory, const void* scratch,
                                std::size_t bytes) {
  struct alignas(16) Piece {
    std::uint32_t words[4];
  };
  auto* to = static_cast<Piece*>(memory);
  const auto* from = static_cast<const Piece*>(scratch);
  for (std::size_t i = group.block_rank(); i < bytes / sizeof(Piece); i += group.block_size()) {
    to[i] = from[i];
  }
}

}  // namespace aatgs::coloring
