// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/task.hpp>
#include <aatgs/runtime/task_queue.hpp>
#include <aatgs/runtime/task_waiters.hpp>
#include <cstdint>

namespace aatgs {

/// What the workers of one run count together.
struct TaskCounts {
  std::uint64_t spawned;
  std::uint64_t completed;
  std::uint64_t failed;
  std::uint64_t cancelled;
  std::uint64_t refused;
  TaskTypeTime types[most_task_types];
};

/// The words that the workers of a run share besides the queues. Set anew for each run.
struct TaskRunState {
  alignas(line_bytes) std::uint32_t end;           ///< `TaskRunEnd`
  alignas(line_bytes) std::uint32_t first_failed;  ///< or `no_task`
  TaskCounts counts;
  std::uint64_t begun_ns;
};

/// Everything that the workers of one scheduler share. Owns nothing.
struct TaskWorld {
  /// Of all workers. With eight for an eighth of them each instead, and stealing, which left no
  /// room for classes, graphs took 4 to 23 % longer, in fifo order 16 %, spawned tasks no less
  /// (H200).
  TaskQueue<TaskHandle> ready[task_priorities];
  TaskQueue<std::uint32_t> free_slots;  ///< of `spawned`
  SpawnedTask* spawned;                 ///< [slots]
  TaskPiece* spawned_configs;           ///< [slots][pieces_for(largest config)]
  TaskWaiters waiters;
  TaskRunState* run;          ///< one
  std::uint64_t patience_ns;  ///< longest wait of a worker for another one in the midst of a move
};

/// What a released task is to do.
enum class TaskRelease : std::uint32_t { wait, run, cancel };

/// One dependency of a task has ended, well or (`cancels`) not. `waiting` counts the open ones; its
/// upper bit says that one did not end well. What was done before is visible to the one who is told
/// to run or cancel the task: exactly one is. One thread.
AATGS_HOST_DEVICE inline TaskRelease release_task(std::uint32_t& waiting, bool cancels) {
  constexpr std::uint32_t cancel_bit = 1U << 31;
  const detail::WorkerAtomic<std::uint32_t> word(waiting);
  if (cancels) word.fetch_or(cancel_bit, cuda::memory_order_relaxed);
  const std::uint32_t before = word.fetch_sub(1, cuda::memory_order_acq_rel);
  if ((before & ~cancel_bit) != 1) return TaskRelease::wait;
  return (before & cancel_bit) != 0 ? TaskRelease::cancel : TaskRelease::run;
}

}  // namespace aatgs
