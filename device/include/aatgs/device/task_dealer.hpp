// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_worker_memory.hpp>
#include <cstdint>
#include <utility>

namespace aatgs {

/// How one worker hands on tasks that are ready: the best one to itself, then one to each worker
/// that waits, the rest to the queues. See `TaskRules`.
class TaskDealer {
 public:
  /// That is worker `worker` of `workers`.
  AATGS_HOST_DEVICE TaskDealer(const TaskWorld& world, TaskWorkerMemory& memory,
                               std::uint32_t worker, std::uint32_t workers)
      : world_(world), memory_(memory), worker_(worker), workers_(workers) {}

  /// Ends the run for all workers, unless it has ended already. One thread.
  AATGS_HOST_DEVICE void end_run(TaskRunEnd how) const {
    std::uint32_t none = static_cast<std::uint32_t>(TaskRunEnd::none);
    detail::WorkerAtomic<std::uint32_t>(world_.run->end)
        .compare_exchange_strong(none, static_cast<std::uint32_t>(how), cuda::memory_order_acq_rel);
  }

  /// A task has become ready. Any threads, each its own; `deal` comes after a sync of the worker.
  AATGS_HOST_DEVICE void offer(const TaskHandle& task, std::uint32_t parts) const {
    if (parts > 1 && !task.is_to_cancel()) {
      const std::uint32_t i = count_up(memory_.wide_count);
      if (i < TaskWorkerMemory::most_wide) {
        memory_.wide[i] = {task, static_cast<std::uint16_t>(parts), 0};
      } else {
        push(SingleTaskLane{}, task.priority(), parts,
             [&task](std::uint32_t part) { return task.with_part(part); });
      }
      return;
    }
    const std::uint32_t i = count_up(memory_.given_count);
    if (i < TaskWorkerMemory::most_given) {
      memory_.given[i] = task;
    } else {
      push(SingleTaskLane{}, task.priority(), 1, [&task](std::uint32_t) { return task; });
    }
  }

  /// Whether something was offered, to be dealt.
  [[nodiscard]] AATGS_HOST_DEVICE bool has_some() const {
    return memory_.given_count + memory_.wide_count != 0;
  }

  /// Deals what was offered. The worker's first lanes, which have met since.
  /// `waiters`: what `see_waiters` gave this lane. `keep`: the worker runs the best one next; so
  /// only if none that became ready by the same task has been kept, which would have to wait.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void deal(L lanes, std::uint32_t waiters, bool keep = true) const {
    const std::uint32_t given = memory_.given_count;
    const std::uint32_t wide = memory_.wide_count;
    if (given + wide == 0) return;
    keep = keep && world_.rules.keep;
    if (keep && given == 1 && wide == 0 && memory_.local_count < TaskWorkerMemory::most_local) {
      lanes.from_first(0);  // all have read
      if (lanes.rank() == 0) {
        memory_.local[memory_.local_count++] = memory_.given[0];
        memory_.given_count = 0;
      }
    } else {
      deal_many(*this, lanes, waiters, keep);
    }
    lanes.from_first(0);
  }

  /// A look at those who wait for tasks, ahead of time: it takes a while. 0 is never wrong.
  template <DealingLanes L>
  AATGS_HOST_DEVICE std::uint32_t see_waiters(L lanes) const {
    return first_waiters(lanes, world_.waiters, workers_, worker_);
  }
  /// Hands the first of the tasks to those who wait; returns how many.
  template <DealingLanes L, class TaskAt>
  AATGS_HOST_DEVICE std::uint32_t hand_out_some(L lanes, std::uint32_t waiters, std::uint32_t count,
                                                const TaskAt& task_at) const {
    if (!world_.rules.hand_out) return 0;
    const std::uint32_t handed =
        hand_out(lanes, world_.waiters, workers_, worker_, waiters, count, task_at);
    if (lanes.rank() == 0) memory_.handed += handed;
    return handed;
  }

  /// Tells so many of those who wait now that the queues have tasks: they became idle while these
  /// were pushed. All of them watching the queues would be in each other's way.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void wake(L lanes, std::uint32_t count) const {
    hand_out_some(lanes, see_waiters(lanes), count,
                  [](std::uint32_t) { return TaskHandle::make_hint(); });
  }

  /// Pushes tasks of one priority. Each queue has room for all spawned tasks there can be and all
  /// parts of a graph that can be ready at once (`GraphRunner` refuses others), so that a push
  /// waits only for workers in the midst of a move.
  template <TaskLanes L, class TaskAt>
  AATGS_HOST_DEVICE void push(L lanes, std::uint32_t priority, std::uint32_t count,
                              const TaskAt& task_at) const {
    if (count == 0) return;
    const std::uint32_t pushed = push_each(lanes, world_.ready[priority], count, task_at, true,
                                           TaskPatience(world_.patience_ns));
    if (pushed != count && lanes.rank() == 0) end_run(TaskRunEnd::stuck);
  }

 private:
  /// Apart from the code that every task runs through.
  template <DealingLanes L>
  AATGS_NOINLINE AATGS_HOST_DEVICE static void deal_many(TaskDealer dealer, L lanes,
                                                         std::uint32_t waiters, bool keep) {
    dealer.deal_all(lanes, waiters, keep);
  }

  template <DealingLanes L>
  AATGS_HOST_DEVICE void deal_all(L lanes, std::uint32_t waiters, bool keep) const {
    const std::uint32_t wide = at_most(memory_.wide_count, TaskWorkerMemory::most_wide);
    for (std::uint32_t i = 0; i < wide; ++i) {
      const TaskHandle task = memory_.wide[i].target;
      const std::uint32_t parts = memory_.wide[i].parts;
      const std::uint32_t handed = hand_out_some(
          lanes, waiters, parts, [&task](std::uint32_t part) { return task.with_part(part); });
      waiters = see_waiters(lanes);
      push(lanes, task.priority(), parts - handed,
           [&task, handed](std::uint32_t part) { return task.with_part(handed + part); });
    }
    const std::uint32_t count = at_most(memory_.given_count, TaskWorkerMemory::most_given);
    const bool alike = are_alike(lanes, count);
    if (!alike) sort(lanes, count);
    const TaskHandle* tasks = alike ? memory_.given : memory_.sorted;
    std::uint32_t first = 0;
    if (keep && lanes.rank() == 0 && count != 0 &&
        memory_.local_count < TaskWorkerMemory::most_local) {
      memory_.local[memory_.local_count++] = tasks[0];
      first = 1;
    }
    first = static_cast<std::uint32_t>(lanes.from_first(first));
    if (first < count) {
      tasks += first;
      first += hand_out_some(lanes, waiters, count - first,
                             [tasks](std::uint32_t i) { return tasks[i]; });
    }
    if (first < count) {
      if (alike) {
        tasks = memory_.given + first;
        push(lanes, tasks[0].priority(), count - first,
             [tasks](std::uint32_t i) { return tasks[i]; });
      } else if (!push_sorted(
                     lanes, world_.ready, memory_.sorted, memory_.sorted_at, first,
                     [](const TaskHandle& task) { return task.priority(); },
                     TaskPatience(world_.patience_ns)) &&
                 lanes.rank() == 0) {
        end_run(TaskRunEnd::stuck);
      }
      wake(lanes, count - first);
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

  /// Whether all that was given has one priority, as mostly.
  template <TaskLanes L>
  AATGS_HOST_DEVICE bool are_alike(L lanes, std::uint32_t count) const {
    bool alike = true;
    for (std::uint32_t i = lanes.rank(); i < count; i += lanes.size()) {
      alike = alike && memory_.given[i].priority() == memory_.given[0].priority();
    }
    return lanes.all(alike);
  }

  /// Puts what was given into `sorted`; tasks of one priority stay as they were. (By one thread
  /// alone, and insertion, it took several microseconds.)
  template <DealingLanes L>
  AATGS_HOST_DEVICE void sort(L lanes, std::uint32_t count) const {
    std::uint32_t placed = 0;
    for (std::uint32_t priority = 0; priority < task_priorities; ++priority) {
      if (lanes.rank() == 0) memory_.sorted_at.begin[priority] = placed;
      for (std::uint32_t first = 0; first < count; first += lanes.size()) {
        const std::uint32_t i = first + lanes.rank();
        const bool is_of_it = i < count && memory_.given[i].priority() == priority;
        const LaneCount alike = lanes.count(is_of_it);
        if (is_of_it) memory_.sorted[placed + alike.before] = memory_.given[i];
        placed += alike.total;
      }
    }
    if (lanes.rank() == 0) memory_.sorted_at.begin[task_priorities] = placed;
    lanes.from_first(0);
  }

  const TaskWorld& world_;
  TaskWorkerMemory& memory_;
  std::uint32_t worker_, workers_;
};

}  // namespace aatgs
