// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_worker_memory.hpp>
#include <cstdint>
#include <utility>

namespace aatgs {

/// How one worker hands on tasks that are ready: the best one to itself, the rest to the queues.
class TaskDealer {
 public:
  AATGS_HOST_DEVICE TaskDealer(const TaskWorld& world, TaskWorkerMemory& memory)
      : world_(world), memory_(memory) {}

  /// Ends the run for all workers, unless it has ended already. One thread.
  AATGS_HOST_DEVICE void end_run(TaskRunEnd how) const {
    std::uint32_t none = static_cast<std::uint32_t>(TaskRunEnd::none);
    detail::WorkerAtomic<std::uint32_t>(world_.run->end)
        .compare_exchange_strong(none, static_cast<std::uint32_t>(how), cuda::memory_order_acq_rel);
  }

  /// A task has become ready. Any threads, each its own; `deal` comes after a sync of the worker.
  AATGS_HOST_DEVICE void offer(const TaskHandle& task, std::uint32_t parts) const {
    if (parts > 1 && task.part != TaskHandle::cancelled) {
      const std::uint32_t i = count_up(memory_.wide_count);
      if (i < TaskWorkerMemory::most_wide) {
        memory_.wide[i] = {task, parts};
      } else {
        push_parts(task, parts, 0, 1);
      }
      return;
    }
    const std::uint32_t i = count_up(memory_.given_count);
    if (i < TaskWorkerMemory::most_given) {
      memory_.given[i] = task;
    } else {
      push(task);
    }
  }

  /// Deals what was offered: parts of wide tasks by all threads of the worker, `rank` of `size`.
  /// Then comes a sync, and `deal`.
  AATGS_HOST_DEVICE void deal_wide(std::uint32_t rank, std::uint32_t size) const {
    const std::uint32_t count = at_most(memory_.wide_count, TaskWorkerMemory::most_wide);
    for (std::uint32_t i = 0; i < count; ++i) {
      push_parts(memory_.wide[i].target, memory_.wide[i].parts, rank, size);
    }
  }

  /// The rest, by the worker's first lanes. Before another sync.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void deal(L lanes) const {
    const std::uint32_t count = at_most(memory_.given_count, TaskWorkerMemory::most_given);
    std::uint32_t first = 0;
    if (lanes.rank() == 0) {
      sort(memory_.given, count);
      if (count != 0 && memory_.local_count < TaskWorkerMemory::most_local) {
        memory_.local[memory_.local_count++] = memory_.given[0];
        first = 1;
      }
    }
    first = static_cast<std::uint32_t>(lanes.from_first(first));
    while (first < count) {
      const std::uint8_t priority = memory_.given[first].priority;
      std::uint32_t end = first + 1;
      while (end < count && memory_.given[end].priority == priority) ++end;
      const std::uint32_t pushed = push_many(lanes, world_.ready[priority], memory_.given + first,
                                             end - first, TaskPatience(world_.patience_ns));
      if (pushed != end - first && lanes.rank() == 0) end_run(TaskRunEnd::stuck);
      first = end;
    }
    lanes.from_first(0);  // all have read
    if (lanes.rank() == 0) memory_.given_count = memory_.wide_count = 0;
  }

 private:
  AATGS_HOST_DEVICE static std::uint32_t at_most(std::uint32_t value, std::uint32_t most) {
    return value < most ? value : most;
  }

  AATGS_HOST_DEVICE static std::uint32_t count_up(std::uint32_t& count) {
    return WorkerLocalAtomic<std::uint32_t>(count).fetch_add(1, cuda::memory_order_relaxed);
  }

  /// The queues have room for every task there can be, so a refusal is a fault of ours.
  AATGS_HOST_DEVICE void push(const TaskHandle& task) const {
    if (try_push(world_.ready[task.priority], task, TaskPatience(world_.patience_ns)) !=
        TaskMove::done) {
      end_run(TaskRunEnd::stuck);
    }
  }

  AATGS_HOST_DEVICE void push_parts(TaskHandle task, std::uint32_t parts, std::uint32_t rank,
                                    std::uint32_t size) const {
    for (std::uint32_t part = rank; part < parts; part += size) {
      task.part = static_cast<std::uint16_t>(part);
      push(task);
    }
  }

  /// By insertion: mostly there is one, or all are of the same class.
  AATGS_HOST_DEVICE static void sort(TaskHandle* tasks, std::uint32_t count) {
    for (std::uint32_t i = 1; i < count; ++i) {
      const TaskHandle task = tasks[i];
      std::uint32_t to = i;
      for (; to > 0 && tasks[to - 1].priority > task.priority; --to) tasks[to] = tasks[to - 1];
      tasks[to] = task;
    }
  }

  const TaskWorld& world_;
  TaskWorkerMemory& memory_;
};

}  // namespace aatgs
