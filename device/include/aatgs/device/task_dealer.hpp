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
        memory_.wide[i] = {task, static_cast<std::uint16_t>(parts), 0};
      } else {
        push_parts(SingleTaskLane{}, task, parts);
      }
      return;
    }
    const std::uint32_t i = count_up(memory_.given_count);
    if (i < TaskWorkerMemory::most_given) {
      memory_.given[i] = task;
    } else {
      push(SingleTaskLane{}, task.priority, 1, [&task](std::uint32_t) { return task; });
    }
  }

  /// Deals what was offered. The worker's first lanes.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void deal(L lanes) const {
    lanes.from_first(0);  // what lanes have offered is there for the first one
    bool many = false;
    if (lanes.rank() == 0) {
      many = memory_.given_count > 1 || memory_.wide_count != 0 ||
             memory_.local_count == TaskWorkerMemory::most_local;
      if (!many && memory_.given_count == 1) {
        memory_.local[memory_.local_count++] = memory_.given[0];
        memory_.given_count = 0;
      }
    }
    if (lanes.from_first(many ? 1 : 0) != 0) deal_many(*this, lanes);
  }

  /// Pushes tasks of one priority. The queues have room for every task there can be, so a refusal
  /// is a fault of ours.
  template <TaskLanes L, class TaskAt>
  AATGS_HOST_DEVICE void push(L lanes, std::uint8_t priority, std::uint32_t count,
                              const TaskAt& task_at) const {
    const std::uint32_t pushed = push_each(lanes, world_.ready[priority], count, task_at, true,
                                           TaskPatience(world_.patience_ns));
    if (pushed != count && lanes.rank() == 0) end_run(TaskRunEnd::stuck);
  }

 private:
  /// Apart from the code that every task runs through.
  template <TaskLanes L>
  AATGS_NOINLINE AATGS_HOST_DEVICE static void deal_many(TaskDealer dealer, L lanes) {
    dealer.deal_all(lanes);
  }

  template <TaskLanes L>
  AATGS_HOST_DEVICE void deal_all(L lanes) const {
    const std::uint32_t wide = at_most(memory_.wide_count, TaskWorkerMemory::most_wide);
    for (std::uint32_t i = 0; i < wide; ++i) {
      push_parts(lanes, memory_.wide[i].target, memory_.wide[i].parts);
    }
    const std::uint32_t count = at_most(memory_.given_count, TaskWorkerMemory::most_given);
    const bool sorted = are_alike(lanes, count);
    std::uint32_t first = 0;
    if (lanes.rank() == 0) {
      if (!sorted) sort(memory_.given, count);
      if (count != 0 && memory_.local_count < TaskWorkerMemory::most_local) {
        memory_.local[memory_.local_count++] = memory_.given[0];
        first = 1;
      }
    }
    first = static_cast<std::uint32_t>(lanes.from_first(first));
    while (first < count) {
      const std::uint8_t priority = memory_.given[first].priority;
      std::uint32_t end = first + 1;
      while (end < count && (sorted || memory_.given[end].priority == priority)) ++end;
      const TaskHandle* tasks = memory_.given + first;
      push(lanes, priority, end - first, [tasks](std::uint32_t i) { return tasks[i]; });
      first = end;
    }
    lanes.from_first(0);  // all have read
    if (lanes.rank() == 0) memory_.given_count = memory_.wide_count = 0;
  }

  AATGS_HOST_DEVICE static std::uint32_t at_most(std::uint32_t value, std::uint32_t most) {
    return value < most ? value : most;
  }

  AATGS_HOST_DEVICE static std::uint32_t count_up(std::uint32_t& count) {
    return WorkerLocalAtomic<std::uint32_t>(count).fetch_add(1, cuda::memory_order_relaxed);
  }

  template <TaskLanes L>
  AATGS_HOST_DEVICE void push_parts(L lanes, const TaskHandle& task, std::uint32_t parts) const {
    push(lanes, task.priority, parts, [&task](std::uint32_t part) {
      TaskHandle one = task;
      one.part = static_cast<std::uint16_t>(part);
      return one;
    });
  }

  /// Whether all that was given has one priority, as mostly.
  template <TaskLanes L>
  AATGS_HOST_DEVICE bool are_alike(L lanes, std::uint32_t count) const {
    bool alike = true;
    for (std::uint32_t i = lanes.rank(); i < count; i += lanes.size()) {
      alike = alike && memory_.given[i].priority == memory_.given[0].priority;
    }
    return lanes.all(alike);
  }

  /// By insertion.
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
