// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/task_queue_set.hpp>
#include <aatgs/runtime/task_world.hpp>
#include <chrono>
#include <cstdint>
#include <cuda/atomic>

#if defined(__CUDACC__)
#include <aatgs/device/primitives.cuh>
#endif

namespace aatgs {

/// A word that the threads of one worker share.
template <class T>
using WorkerLocalAtomic = cuda::atomic_ref<T, cuda::thread_scope_block>;

/// What one worker (a block, or a CPU thread) remembers; in its scratch. "One thread" below is the
/// worker's first.
struct alignas(16) TaskWorkerMemory {
  static constexpr std::uint32_t most_local = 16;
  static constexpr std::uint32_t most_claimed = most_local / 2;  ///< from a queue at once
  static constexpr std::uint32_t most_given = 64;
  static constexpr std::uint32_t most_wide = 8;
  static constexpr std::uint32_t most_free = 32;

  /// The task at work.
  struct alignas(16) Current {
    TaskHandle task;      ///< `no_task`: leave
    std::uint32_t edges;  ///< tasks that depend on it
  };
  Current current;
  TaskLinks links;               ///< of that, if it is one of the graph
  ScheduledTask upcoming;        ///< the worker's next turn of a schedule, on its way
  TaskHandle local[most_local];  ///< run next, the last one first
  std::uint32_t local_count;

  /// Tasks that became ready by the one at work, to be handed out when it has ended. Counts go
  /// beyond the capacity: those tasks were pushed at once.
  TaskHandle given[most_given];
  std::uint32_t given_count;
  TaskHandle sorted[most_given];  ///< the same by priority
  SortedEntries<task_priorities> sorted_at;
  TaskEdge wide[most_wide];
  std::uint32_t wide_count;

  std::uint32_t failed;  ///< whether the task at work has, and with which code
  std::uint32_t code;
  std::uint32_t later;       ///< the spawned task that stands for the one at work, or `no_task`
  std::uint64_t started_ns;  ///< of the task at work, as the next
  std::uint64_t ended_ns;
  std::uint32_t taken;   ///< tasks so far
  std::uint64_t ending;  ///< what has ended, told by the first thread to all

  std::uint32_t free[most_free];  ///< slots for spawned tasks, kept to save trips to the queue
  std::int32_t free_count;        ///< below 0 for a moment
  std::uint32_t stock_is_due;     ///< some were asked for in vain, or there are too many

  std::uint32_t spawned;  ///< not yet counted among all workers' ones, as the next
  std::uint32_t refused;
  std::uint32_t completed;
  std::uint32_t failures;
  std::uint32_t cancelled;
  std::uint32_t handed;
  std::uint32_t claims;
  std::uint32_t claimed;
  TaskTypeTime types[most_task_types];
};

/// Nanoseconds of the workers' clock.
AATGS_NO_EXEC_CHECK AATGS_HOST_DEVICE inline std::uint64_t worker_now_ns() {
#if defined(__CUDA_ARCH__)
  return device::timer_ns();
#else
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
#endif
}

/// Lets a worker wait for another one in the midst of a move, for so long.
class TaskPatience {
 public:
  AATGS_HOST_DEVICE explicit TaskPatience(std::uint64_t ns) : ns_(ns) {}
  AATGS_HOST_DEVICE bool operator()() {
    const std::uint64_t now = worker_now_ns();
    if (since_ == 0) since_ = now;
    KeepWaiting{}();
    return now - since_ < ns_;
  }

 private:
  std::uint64_t ns_;
  std::uint64_t since_ = 0;
};

}  // namespace aatgs
