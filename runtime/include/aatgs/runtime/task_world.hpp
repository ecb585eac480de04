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
  TaskDecisions decisions;
  TaskTypeTime types[most_task_types];
};

/// How workers share out what is ready; each rule can be switched off. What it is worth is measured
/// on an H200.
struct TaskRules {
  /// Who makes tasks ready runs the best one next. Without, graphs in layers take 1 to 25 % longer,
  /// a random graph a third, and a chain three times as long.
  bool keep = true;
  /// Workers that wait are handed tasks, each into a box of its own. Without, all who wait look at
  /// the queues: graphs in layers take 7 to 20 % longer and a fan 50 %, but wide layers of many
  /// workers a quarter less, and spawned tasks and a random graph 1 to 6 % less.
  bool hand_out = true;
  /// Most entries that a worker takes from a queue at once, 1 to 8, by guided self-scheduling (C.
  /// Polychronopoulos, D. Kuck, IEEE ToC 1987). With 1, 240 M empty tasks/s are run instead of 365.
  std::uint32_t most_claimed = 8;
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
  TaskRules rules;
};

/// What a released task is to do.
enum class TaskRelease : std::uint32_t { wait, run, cancel };

namespace detail {

/// Of a word that counts what a task waits for: something did not end well.
inline constexpr std::uint32_t cancel_bit = 1U << 31;

#if defined(__CUDA_ARCH__)
inline constexpr auto release_with_fence = cuda::memory_order_relaxed;  // one fence for all lanes
#else
inline constexpr auto release_with_fence = cuda::memory_order_release;
#endif

inline AATGS_HOST_DEVICE TaskRelease release_of(std::uint32_t word) {
  if ((word & ~cancel_bit) != 0) return TaskRelease::wait;
  return word == 0 ? TaskRelease::run : TaskRelease::cancel;
}

}  // namespace detail

/// One dependency of a task has ended, well or (`cancels`) not. `waiting` counts the open ones; its
/// upper bit says that one did not end well. What was done before is visible to the one who is told
/// to run or cancel the task: exactly one is. One thread.
AATGS_HOST_DEVICE inline TaskRelease release_task(std::uint32_t& waiting, bool cancels) {
  using detail::cancel_bit;
  const detail::WorkerAtomic<std::uint32_t> word(waiting);
  if (cancels) word.fetch_or(cancel_bit, cuda::memory_order_relaxed);
  const std::uint32_t before = word.fetch_sub(1, cuda::memory_order_acq_rel);
  if ((before & ~cancel_bit) != 1) return TaskRelease::wait;
  return (before & cancel_bit) != 0 ? TaskRelease::cancel : TaskRelease::run;
}

/// The same for a task that a worker watches, and for `count` dependencies: nobody is told. After
/// `detail::order_workers`; before that `cancel_watched` if one did not end well.
AATGS_HOST_DEVICE inline void release_watched(std::uint32_t& waiting, std::uint32_t count = 1) {
  detail::WorkerAtomic<std::uint32_t>(waiting).fetch_sub(count, detail::release_with_fence);
}
AATGS_HOST_DEVICE inline void cancel_watched(std::uint32_t& waiting) {
  detail::WorkerAtomic<std::uint32_t>(waiting).fetch_or(detail::cancel_bit,
                                                        cuda::memory_order_relaxed);
}

/// A look at a task that this worker watches.
AATGS_HOST_DEVICE inline TaskRelease look_at_watched(std::uint32_t& waiting) {
  return detail::release_of(
      detail::WorkerAtomic<std::uint32_t>(waiting).load(cuda::memory_order_relaxed));
}
/// The same, and what was done before it was released is visible. On a GPU it empties the SM's L1
/// cache, so not for every look.
AATGS_HOST_DEVICE inline TaskRelease look_and_acquire(std::uint32_t& waiting) {
  return detail::release_of(
      detail::WorkerAtomic<std::uint32_t>(waiting).load(cuda::memory_order_acquire));
}

}  // namespace aatgs
