// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs {

/// How many tasks there ever were, and how many have ended. Both only grow (mod 2^64), so that
/// idleness can be told exactly and the books still balance afterwards.
///
/// A task counts from before it is queued (or begins to wait) until it has ended; a task that
/// spawns others counts them before it ends itself. Whoever submits from outside counts first as
/// well. In the workers' memory; zeroed is empty.
struct TaskCount {
  alignas(line_bytes) std::uint64_t spawned;
  alignas(line_bytes) std::uint64_t finished;
};

/// Before the tasks are pushed. One thread.
AATGS_HOST_DEVICE inline void count_spawned(TaskCount& count, std::uint64_t tasks) {
  cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device>(count.spawned)
      .fetch_add(tasks, cuda::memory_order_relaxed);
}

/// After the tasks have ended, whether well, failed or cancelled. One thread.
AATGS_HOST_DEVICE inline void count_finished(TaskCount& count, std::uint64_t tasks) {
  cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device>(count.finished)
      .fetch_add(tasks, cuda::memory_order_release);
}

/// Whether there was a moment during this call at which nothing was queued, running or waiting;
/// then everything the tasks did is visible. Stays true until somebody submits from outside. Any
/// thread.
///
/// `finished` is read first (F. Mattern: Algorithms for distributed termination detection, 1987):
/// what is read of `spawned` later is at least what it was then, so that equal means equal then.
AATGS_HOST_DEVICE inline bool all_finished(TaskCount& count) {
  const cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device> finished(count.finished);
  const cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device> spawned(count.spawned);
  const std::uint64_t ended = finished.load(cuda::memory_order_acquire);
  return spawned.load(cuda::memory_order_relaxed) == ended;
}

}  // namespace aatgs
