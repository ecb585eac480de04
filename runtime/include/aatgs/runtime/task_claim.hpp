// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/task_lanes.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs {

/// Instead of a number of entries: the pause gave up; see `TaskMove::stuck`.
inline constexpr std::uint32_t task_queue_stuck = ~0U;

namespace detail {

template <class T>
using WorkerAtomic = cuda::atomic_ref<T, cuda::thread_scope_device>;

/// Grants 0 to `wanted` of what `credit` says can be had, never more. `seen`: the caller has just
/// seen some. One thread.
AATGS_HOST_DEVICE inline std::uint32_t take_credit(std::int64_t& credit, std::uint32_t wanted,
                                                   bool seen = false) {
  const WorkerAtomic<std::int64_t> word(credit);
  // Refused ones only look: if they took and gave back all the time, nobody would see any credit.
  if (!seen && word.load(cuda::memory_order_relaxed) <= 0) return 0;
  const std::int64_t before = word.fetch_sub(wanted, cuda::memory_order_relaxed);
  if (before >= wanted) return wanted;
  const std::uint32_t granted = before > 0 ? static_cast<std::uint32_t>(before) : 0;
  word.fetch_add(wanted - granted, cuda::memory_order_relaxed);
  return granted;
}

/// Entries that a group of lanes may move, and the ticket of the first one.
struct TaskClaim {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

/// `credit` null: there is enough.
template <TaskLanes L>
AATGS_HOST_DEVICE TaskClaim claim_tasks(L lanes, std::int64_t* credit, std::uint64_t& ticket,
                                        std::uint32_t wanted, bool seen = false) {
  TaskClaim claim;
  if (lanes.rank() == 0) {
    claim.count = credit == nullptr ? wanted : take_credit(*credit, wanted, seen);
    if (claim.count != 0) {
      claim.first =
          WorkerAtomic<std::uint64_t>(ticket).fetch_add(claim.count, cuda::memory_order_relaxed);
    }
  }
  return {lanes.from_first(claim.first), static_cast<std::uint32_t>(lanes.from_first(claim.count))};
}

/// Orders what this thread did before against what it does next, in the eyes of other workers.
AATGS_HOST_DEVICE inline void order_workers() {
#if !defined(__SANITIZE_THREAD__)  // which knows no fences; moves of granules order enough on x86
  cuda::atomic_thread_fence(cuda::memory_order_acq_rel, cuda::thread_scope_device);
#endif
}

/// Hands over, or back, what `credit` counts; after all lanes have moved their entries.
template <TaskLanes L>
AATGS_HOST_DEVICE std::uint32_t end_claim(L lanes, bool done, std::int64_t& credit,
                                          std::uint32_t count) {
  if (!lanes.all(done)) return task_queue_stuck;
  if (lanes.rank() == 0) {
    WorkerAtomic<std::int64_t>(credit).fetch_add(count, cuda::memory_order_relaxed);
  }
  return count;
}

}  // namespace detail

}  // namespace aatgs
