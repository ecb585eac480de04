// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_dealer.hpp>
#include <cstdint>
#include <cstring>

namespace aatgs {

/// Spawned tasks of one worker: their slots, and their ends.
class TaskSpawner {
 public:
  AATGS_HOST_DEVICE TaskSpawner(const TaskWorld& world, TaskWorkerMemory& memory,
                                const TaskDealer& dealer, std::uint32_t config_pieces)
      : world_(world), memory_(memory), dealer_(dealer), config_pieces_(config_pieces) {}

  /// Makes a task that runs when `waiting` others have released it, or now. Its id, or `no_task` if
  /// there is no slot. Any thread.
  template <class Config>
  AATGS_HOST_DEVICE std::uint32_t make(std::uint8_t type, const Config& config,
                                       std::uint32_t waiting, std::uint32_t next) const {
    const std::uint32_t slot = take_slot();
    if (slot == no_task) return no_task;
    const std::uint32_t config_at = slot * config_pieces_;
    memcpy(static_cast<void*>(world_.spawned_configs + config_at), &config, sizeof(Config));
    const TaskHandle handle =
        TaskHandle::make(first_spawned + slot, config_at, type,
                         static_cast<std::uint8_t>(memory_.current.task.priority()));
    world_.spawned[slot] = {waiting, next, no_task, 0, handle};
    WorkerLocalAtomic<std::uint32_t>(memory_.spawned).fetch_add(1, cuda::memory_order_relaxed);
    if (waiting == 0) dealer_.offer(handle, 1);
    return handle.id;
  }

  /// One thing that the spawned task `id` waits for has ended, well or not. Any thread.
  AATGS_HOST_DEVICE void release(std::uint32_t id, bool cancels, std::uint32_t code) const {
    SpawnedTask& task = world_.spawned[id - first_spawned];
    if (cancels) store_shared(&task.code, code);
    const TaskRelease what = release_task(task.waiting, cancels);
    if (what == TaskRelease::wait) return;
    TaskHandle handle = task.handle;
    if (what == TaskRelease::cancel) handle = handle.to_cancel();
    dealer_.offer(handle, 1);
  }

  /// Lets `later`, made with one more to wait for, stand for the task at work. One thread.
  AATGS_HOST_DEVICE void replace_current(std::uint32_t later) const {
    SpawnedTask& task = world_.spawned[later - first_spawned];
    const std::uint32_t current = memory_.current.task.id;
    if (current < first_spawned) {
      task.stands_for = current;
    } else {
      SpawnedTask& self = world_.spawned[current - first_spawned];
      task.next = self.next;
      task.stands_for = self.stands_for;
      self.next = self.stands_for = no_task;
    }
    memory_.later = later;
  }

  /// Frees the slot of a task that has ended, and releases the next. Returns the task of the graph
  /// that ends with it, or `no_task`. One thread, after a sync.
  AATGS_HOST_DEVICE std::uint32_t end(std::uint32_t id, bool cancels, std::uint32_t code) const {
    const std::uint32_t slot = id - first_spawned;
    const std::uint32_t next = world_.spawned[slot].next;
    const std::uint32_t stands_for = world_.spawned[slot].stands_for;
    give_slot(slot);
    if (next != no_task) release(next, cancels, code);
    return stands_for;
  }

  /// Why a spawned task is to be cancelled.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t code_of(std::uint32_t id) const {
    return load_shared(&world_.spawned[id - first_spawned].code);
  }

  /// Takes some slots beforehand if the last ones were asked for, or gives some back; to be called
  /// when `stock_is_due`. The worker's first lanes.
  template <TaskLanes L>
  AATGS_NOINLINE AATGS_HOST_DEVICE static void stock(TaskSpawner spawner, L lanes) {
    spawner.move_stock(lanes);
  }

  /// Gives the slots back that the worker has kept. The worker's first lanes.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void return_stock(L lanes) const {
    const auto count = static_cast<std::uint32_t>(lanes.from_first(
        memory_.free_count > 0 ? static_cast<std::uint64_t>(memory_.free_count) : 0));
    if (count == 0) return;
    const std::uint32_t pushed =
        push_many(lanes, world_.free_slots, memory_.free, count, TaskPatience(world_.patience_ns));
    if (lanes.rank() != 0) return;
    memory_.free_count = 0;
    if (pushed != count) dealer_.end_run(TaskRunEnd::stuck);
  }

 private:
  /// Leaves room for a slot that is given one by one.
  static constexpr auto most_kept = static_cast<std::int32_t>(TaskWorkerMemory::most_free) - 1;

  template <TaskLanes L>
  AATGS_HOST_DEVICE void move_stock(L lanes) const {
    constexpr std::uint32_t some = TaskWorkerMemory::most_free / 2;
    const auto kept =
        static_cast<std::int32_t>(lanes.from_first(static_cast<std::uint32_t>(memory_.free_count)));
    if (lanes.rank() == 0) memory_.stock_is_due = 0;
    if (kept >= most_kept) {
      const std::uint32_t* last = memory_.free + kept - some;
      const std::uint32_t pushed =
          push_many(lanes, world_.free_slots, last, some, TaskPatience(world_.patience_ns));
      if (lanes.rank() == 0) {
        memory_.free_count = kept - static_cast<std::int32_t>(some);
        if (pushed != some) dealer_.end_run(TaskRunEnd::stuck);
      }
      return;
    }
    if (kept > 0) return;
    const std::uint32_t got =
        pop_many(lanes, world_.free_slots, memory_.free, some, TaskPatience(world_.patience_ns));
    if (lanes.rank() != 0) return;
    if (got == task_queue_stuck) dealer_.end_run(TaskRunEnd::stuck);
    memory_.free_count = got == task_queue_stuck ? 0 : static_cast<std::int32_t>(got);
  }

  AATGS_HOST_DEVICE std::uint32_t take_slot() const {
    const WorkerLocalAtomic<std::int32_t> stock(memory_.free_count);
    const std::int32_t left = stock.fetch_sub(1, cuda::memory_order_relaxed);
    if (left > 0) return memory_.free[left - 1];
    stock.fetch_add(1, cuda::memory_order_relaxed);
    WorkerLocalAtomic<std::uint32_t>(memory_.stock_is_due).store(1, cuda::memory_order_relaxed);
    std::uint32_t slot = no_task;
    const TaskMove move = try_pop(world_.free_slots, slot, TaskPatience(world_.patience_ns));
    if (move == TaskMove::stuck) dealer_.end_run(TaskRunEnd::stuck);
    return move == TaskMove::done ? slot : no_task;
  }

  AATGS_HOST_DEVICE void give_slot(std::uint32_t slot) const {
    if (memory_.free_count < static_cast<std::int32_t>(TaskWorkerMemory::most_free)) {
      memory_.free[memory_.free_count++] = slot;
      if (memory_.free_count >= most_kept) memory_.stock_is_due = 1;
      return;
    }
    if (try_push(world_.free_slots, slot, TaskPatience(world_.patience_ns)) != TaskMove::done) {
      dealer_.end_run(TaskRunEnd::stuck);
    }
  }

  const TaskWorld& world_;
  TaskWorkerMemory& memory_;
  TaskDealer dealer_;
  std::uint32_t config_pieces_;
};

}  // namespace aatgs
