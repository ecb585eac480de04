// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/platform.hpp>
#include <aatgs/runtime/task_lanes.hpp>
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

namespace aatgs {

/// What the threads of a CPU group share.
class CpuGroupShared {
 public:
  CpuGroupShared(std::uint32_t thread_count, const std::atomic<bool>& abort_flag)
      : threads(thread_count), abort(abort_flag), barrier(thread_count), cells(thread_count) {}

  struct alignas(line_bytes) Cell {
    unsigned char bytes[16];
  };

  const std::uint32_t threads;
  const std::atomic<bool>& abort;
  std::barrier<> barrier;
  std::vector<Cell> cells;
  std::uint64_t ticket = 0;
  std::atomic<bool> failed = false;
  std::atomic<std::uint32_t> code = 0;
};

/// Host threads as the group of a step; each thread is a block of its own with its own scratch. One
/// object per thread. The calls are those of `device::BlockGroup`.
class CpuGroup {
 public:
  CpuGroup(CpuGroupShared& shared, std::uint32_t rank, std::size_t scratch_bytes)
      : shared_(shared), rank_(rank), scratch_((scratch_bytes + 15) / 16) {}

  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint32_t rank() const { return rank_; }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint32_t size() const { return shared_.threads; }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint32_t block_rank() const { return 0; }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint32_t block_size() const { return 1; }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint32_t block_index() const { return rank_; }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint32_t block_count() const {
    return shared_.threads;
  }

  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE void sync() {
    if (shared_.threads > 1) shared_.barrier.arrive_and_wait();
  }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE void sync_block() {}

  AATGS_NO_EXEC_CHECK template <class T, class Op>
  AATGS_HOST_DEVICE T reduce(T value, Op op) {
    store(rank_, value);
    sync();
    T all = load<T>(0);
    for (std::uint32_t i = 1; i < shared_.threads; ++i) all = op(all, load<T>(i));
    sync();  // the cells may be written again only after all have read them
    return all;
  }
  AATGS_NO_EXEC_CHECK template <class T>
  AATGS_HOST_DEVICE T sum(T value) {
    return reduce(value, std::plus<T>{});
  }
  AATGS_NO_EXEC_CHECK template <class T>
  AATGS_HOST_DEVICE T min(T value) {
    return reduce(value, [](const T& a, const T& b) { return std::min(a, b); });
  }
  AATGS_NO_EXEC_CHECK template <class T>
  AATGS_HOST_DEVICE T max(T value) {
    return reduce(value, [](const T& a, const T& b) { return std::max(a, b); });
  }
  AATGS_NO_EXEC_CHECK template <class T>
  AATGS_HOST_DEVICE T broadcast(T value, std::uint32_t root = 0) {
    if (rank_ == root) store(root, value);
    sync();
    const T result = load<T>(root);
    sync();
    return result;
  }

  AATGS_NO_EXEC_CHECK template <class T, class Op>
  AATGS_HOST_DEVICE T reduce_block(T value, Op) {
    return value;
  }
  AATGS_NO_EXEC_CHECK template <class T>
  AATGS_HOST_DEVICE T broadcast_block(T value, std::uint32_t = 0) {
    return value;
  }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE static constexpr SingleTaskLane task_lanes() { return {}; }

  AATGS_NO_EXEC_CHECK template <class T>
  AATGS_HOST_DEVICE T* scratch() {
    return reinterpret_cast<T*>(scratch_.data());
  }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE bool stop_requested() const { return shared_.abort.load(); }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE void fail(std::uint32_t code) {
    if (!shared_.failed.exchange(true)) shared_.code = code;
  }
  AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE std::uint64_t ticket() const { return shared_.ticket; }

 private:
  struct alignas(16) Piece {
    unsigned char bytes[16];
  };

  template <class T>
  void store(std::uint32_t cell, const T& value) {
    static_assert(sizeof(T) <= sizeof(CpuGroupShared::Cell::bytes),
                  "AATGS: reduce and broadcast take at most 16 bytes");
    std::memcpy(shared_.cells[cell].bytes, &value, sizeof(T));
  }
  template <class T>
  T load(std::uint32_t cell) const {
    T value;
    std::memcpy(&value, shared_.cells[cell].bytes, sizeof(T));
    return value;
  }

  CpuGroupShared& shared_;
  std::uint32_t rank_;
  std::vector<Piece> scratch_;
};

}  // namespace aatgs
