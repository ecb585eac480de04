// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/resident_state.hpp>
#include <cstdint>
#include <cub/util_ptx.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <cuda/functional>
#include <cuda/std/functional>

namespace aatgs::device {

/// What the threads of a block share about the config at work; in shared memory.
struct BlockShared {
  std::uint64_t ticket;
  std::uint32_t failed;
  std::uint32_t code;
  alignas(16) unsigned char cell[16];  ///< for broadcasts
};

/// Where a block's scratch begins.
__device__ inline unsigned char* scratch_memory() {
  extern __shared__ uint4 aatgs_scratch[];
  return reinterpret_cast<unsigned char*>(aatgs_scratch);
}

/// One block: the group of a step in `Scope::block`, and a part of the grid in `Scope::grid`.
/// Collective calls (`sync`, `reduce`, `broadcast` and their kin) are for all threads together.
template <unsigned Threads>
class BlockGroup {
 public:
  __device__ BlockGroup(BlockShared& shared, const ResidentState& state)
      : shared_(shared), state_(state) {}

  /// Thread in the group, and threads of the group.
  __device__ std::uint32_t rank() const { return threadIdx.x; }
  __device__ static constexpr std::uint32_t size() { return Threads; }
  /// The threads that share scratch; here they are the whole group.
  __device__ std::uint32_t block_rank() const { return threadIdx.x; }
  __device__ static constexpr std::uint32_t block_size() { return Threads; }
  __device__ static constexpr std::uint32_t block_index() { return 0; }
  __device__ static constexpr std::uint32_t block_count() { return 1; }

  /// Waits for all threads and makes their earlier writes visible to all.
  __device__ void sync() { __syncthreads(); }
  __device__ void sync_block() { __syncthreads(); }

  /// Combines one value of each thread; every thread gets the result. A `sync` too: earlier writes
  /// of all threads are visible when it returns, as with `broadcast`. The order is fixed, so
  /// floating-point results repeat. `T` is trivially copyable, at most 16 bytes.
  ///
  /// One barrier: every warp combines the warps' parts for itself. A block reduction and a
  /// broadcast have four.
  // `valid`: only the first so many threads count; for `GridGroup` alone.
  template <class T, class Op>
  __device__ T reduce(T value, Op op, std::uint32_t valid = Threads) {
    using Reduce = cub::WarpReduce<T>;
    __shared__ typename Reduce::TempStorage storage[Threads / 32];
    __shared__ cub::Uninitialized<T> parts[2][Threads / 32];
    const std::uint32_t warp = threadIdx.x / 32;
    const std::uint32_t lane = threadIdx.x % 32;
    auto& mine = parts[reductions_++ % 2];  // the other may still be read
    const std::uint32_t of_warp = valid > 32 * warp ? ::min(valid - 32 * warp, 32U) : 0;
    if (of_warp != 0) value = Reduce(storage[warp]).Reduce(value, op, static_cast<int>(of_warp));
    if (lane == 0) mine[warp].Alias() = value;
    __syncthreads();
    const std::uint32_t used = (valid + 31) / 32;
    T part = mine[lane < used ? lane : 0].Alias();
    part = Reduce(storage[warp]).Reduce(part, op, static_cast<int>(used));
    return cub::ShuffleIndex<32>(part, 0, ~0U);
  }
  template <class T>
  __device__ T sum(T value) {
    return reduce(value, cuda::std::plus<T>{});
  }
  template <class T>
  __device__ T min(T value) {
    return reduce(value, cuda::minimum<T>{});
  }
  template <class T>
  __device__ T max(T value) {
    return reduce(value, cuda::maximum<T>{});
  }

  /// Every thread gets the value of the thread `root`.
  template <class T>
  __device__ T broadcast(T value, std::uint32_t root = 0) {
    static_assert(sizeof(T) <= sizeof(shared_.cell), "AATGS: broadcast at most 16 bytes");
    T& cell = *reinterpret_cast<T*>(shared_.cell);
    if (threadIdx.x == root) cell = value;
    __syncthreads();
    const T result = cell;
    __syncthreads();  // the cell may be written again only after all have read it
    return result;
  }

  /// Shared memory of this block, `scratch_bytes()` of the step long, aligned to 16; it lives as
  /// long as the kernel is resident.
  template <class T>
  __device__ T* scratch() {
    return reinterpret_cast<T*>(scratch_memory());
  }

  /// Whether the host has asked to abort; costs a read of device memory (0.6 us on an H200).
  /// Threads may get different answers: let one ask and `broadcast`.
  __device__ bool stop_requested() const {
    return load_shared(&state_.order) == static_cast<std::uint32_t>(Command::abort);
  }
  /// Ends this config as failed with `code`; the first call counts. The step goes on to its end.
  __device__ void fail(std::uint32_t code) {
    if (atomicExch(&shared_.failed, 1U) == 0) shared_.code = code;
  }
  /// Ticket of the config at work.
  __device__ std::uint64_t ticket() const { return shared_.ticket; }

 private:
  BlockShared& shared_;
  const ResidentState& state_;
  std::uint32_t reductions_ = 0;
};

}  // namespace aatgs::device
