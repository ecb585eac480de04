// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/block_group.cuh>
#include <aatgs/device/grid_barrier.cuh>
#include <aatgs/device/task_lanes.cuh>
#include <cstdint>

namespace aatgs::device {

/// A 16-byte cell of device memory on its own line, through which blocks hand each other values.
struct alignas(line_bytes) GridCell {
  unsigned char bytes[16];
};

/// All worker blocks of a grid together: the group of a step in `Scope::grid`. See `BlockGroup` for
/// the calls; what is said there of a block's threads holds for the threads of all blocks here.
template <unsigned Threads>
class GridGroup {
 public:
  /// `cells`: [2][blocks]. `barrier` is used by thread 0 of the block.
  __device__ GridGroup(BlockShared& shared, ResidentState& state, GridBarrier& barrier,
                       GridCell* cells, std::uint32_t blocks)
      : block_(shared, state), shared_(shared), barrier_(barrier), cells_(cells), blocks_(blocks) {}

  __device__ std::uint32_t rank() const { return blockIdx.x * Threads + threadIdx.x; }
  __device__ std::uint32_t size() const { return blocks_ * Threads; }
  __device__ std::uint32_t block_rank() const { return threadIdx.x; }
  __device__ static constexpr std::uint32_t block_size() { return Threads; }
  __device__ std::uint32_t block_index() const { return blockIdx.x; }
  __device__ std::uint32_t block_count() const { return blocks_; }

  /// One grid barrier: 0.9 us on an H200.
  __device__ void sync() {
    __syncthreads();
    if (threadIdx.x == 0) barrier_.arrive_and_wait(ArrivalFlag::none, shared_.ticket);
    __syncthreads();
  }
  __device__ void sync_block() { __syncthreads(); }

  /// One grid barrier and two block reductions; the second in every block, of the blocks' parts in
  /// the same order, so that all get the same bits.
  template <class T, class Op>
  __device__ T reduce(T value, Op op) {
    static_assert(sizeof(T) <= sizeof(GridCell::bytes), "AATGS: reduce at most 16 bytes");
    const T part = block_.reduce(value, op);
    GridCell* cells = next_cells();
    if (threadIdx.x == 0) *reinterpret_cast<T*>(cells[blockIdx.x].bytes) = part;
    sync();
    const std::uint32_t valid = blocks_ < Threads ? blocks_ : Threads;
    T mine{};
    if (threadIdx.x < valid) mine = load_cell<T>(cells[threadIdx.x]);
    for (std::uint32_t b = threadIdx.x + Threads; b < blocks_; b += Threads) {
      mine = op(mine, load_cell<T>(cells[b]));
    }
    return block_.reduce(mine, op, valid);
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

  /// One grid barrier.
  template <class T>
  __device__ T broadcast(T value, std::uint32_t root = 0) {
    static_assert(sizeof(T) <= sizeof(GridCell::bytes), "AATGS: broadcast at most 16 bytes");
    GridCell* cells = next_cells();
    if (rank() == root) *reinterpret_cast<T*>(cells[0].bytes) = value;
    sync();
    return load_cell<T>(cells[0]);
  }

  /// The same among the threads of this block.
  template <class T, class Op>
  __device__ T reduce_block(T value, Op op) {
    return block_.reduce(value, op);
  }
  template <class T>
  __device__ T broadcast_block(T value, std::uint32_t root = 0) {
    return block_.broadcast(value, root);
  }
  /// The first threads of this block, as they move entries of task queues.
  __device__ static constexpr WarpTaskLanes task_lanes() { return {}; }

  template <class T>
  __device__ T* scratch() {
    return block_.template scratch<T>();
  }
  __device__ bool stop_requested() const { return block_.stop_requested(); }
  __device__ void fail(std::uint32_t code) { block_.fail(code); }
  __device__ std::uint64_t ticket() const { return shared_.ticket; }

 private:
  /// Two sets in turn: a set is written again only after all blocks have passed a later barrier.
  __device__ GridCell* next_cells() {
    uses_ ^= 1;
    return cells_ + uses_ * blocks_;
  }

  template <class T>
  __device__ static T load_cell(const GridCell& cell) {
    return *reinterpret_cast<const T*>(cell.bytes);
  }

  BlockGroup<Threads> block_;
  BlockShared& shared_;
  GridBarrier& barrier_;
  GridCell* cells_;
  std::uint32_t blocks_;
  std::uint32_t uses_ = 0;
};

}  // namespace aatgs::device
