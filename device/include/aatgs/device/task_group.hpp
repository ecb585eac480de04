// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <aatgs/device/task_spawner.hpp>
#include <cstdint>

namespace aatgs {

/// The group of a task: the threads of one worker (a block, or one CPU thread). `S`: the `Steps`;
/// `Group`: the grid they are a part of; `Spawns`: whether the step may spawn. Calls are those of
/// `device::BlockGroup`, and more.
template <class S, class Group, bool Spawns>
class TaskGroup {
 public:
  AATGS_HOST_DEVICE TaskGroup(Group& group, TaskWorkerMemory& memory, const TaskSpawner& spawner,
                              void* scratch)
      : group_(group), memory_(memory), spawner_(spawner), scratch_(scratch) {}

  AATGS_HOST_DEVICE std::uint32_t rank() const { return group_.block_rank(); }
  AATGS_HOST_DEVICE std::uint32_t size() const { return group_.block_size(); }
  AATGS_HOST_DEVICE std::uint32_t block_rank() const { return group_.block_rank(); }
  AATGS_HOST_DEVICE std::uint32_t block_size() const { return group_.block_size(); }
  AATGS_HOST_DEVICE static constexpr std::uint32_t block_index() { return 0; }
  AATGS_HOST_DEVICE static constexpr std::uint32_t block_count() { return 1; }

  AATGS_HOST_DEVICE void sync() { group_.sync_block(); }
  AATGS_HOST_DEVICE void sync_block() { group_.sync_block(); }
  template <class T, class Op>
  AATGS_HOST_DEVICE T reduce(T value, Op op) {
    return group_.reduce_block(value, op);
  }
  template <class T>
  AATGS_HOST_DEVICE T sum(T value) {
    return reduce(value, [](const T& a, const T& b) { return a + b; });
  }
  template <class T>
  AATGS_HOST_DEVICE T min(T value) {
    return reduce(value, [](const T& a, const T& b) { return b < a ? b : a; });
  }
  template <class T>
  AATGS_HOST_DEVICE T max(T value) {
    return reduce(value, [](const T& a, const T& b) { return a < b ? b : a; });
  }
  template <class T>
  AATGS_HOST_DEVICE T broadcast(T value, std::uint32_t root = 0) {
    return group_.broadcast_block(value, root);
  }

  /// Shared memory of this worker, as long as the largest `scratch_bytes()` of the steps; of no use
  /// beyond the task.
  template <class T>
  AATGS_HOST_DEVICE T* scratch() {
    return static_cast<T*>(scratch_);
  }
  AATGS_HOST_DEVICE bool stop_requested() const { return group_.stop_requested(); }
  /// Ends this task as failed; the first call counts. What depends on it is cancelled.
  AATGS_HOST_DEVICE void fail(std::uint32_t code) {
    const WorkerLocalAtomic<std::uint32_t> failed(memory_.failed);
    if (failed.exchange(1, cuda::memory_order_relaxed) == 0) memory_.code = code;
  }
  /// Of the run of the graph.
  AATGS_HOST_DEVICE std::uint64_t ticket() const { return group_.ticket(); }
  /// The id of this task, in the graph, or at least `first_spawned`.
  AATGS_HOST_DEVICE std::uint32_t task() const { return memory_.current.task.id; }
  /// Which part of a wide task this is, and of how many.
  AATGS_HOST_DEVICE std::uint32_t part() const { return memory_.current.task.part(); }
  AATGS_HOST_DEVICE std::uint32_t parts() const {
    return task() < first_spawned ? memory_.links.parts : 1;
  }

  // Spawned tasks belong to the run, and have the priority of the task that spawns them. They begin
  // when it has ended, or before. Each call is one thread's; any threads may call at once.

  /// Spawns a task. When it has ended it releases `next` once: a task that `spawn_after` made. If
  /// there is no slot, this task fails with `no_room_to_spawn`, and `next` is cancelled.
  template <class Step>
  AATGS_HOST_DEVICE void spawn(const typename Step::Config& config, std::uint32_t next = no_task) {
    if (try_spawn<Step>(config, next)) return;
    refuse();
    if (next != no_task) spawner_.release(next, true, no_room_to_spawn);
  }
  /// The same, but only returns false if there is no slot, so that this task can do the work
  /// itself.
  template <class Step>
  [[nodiscard]] AATGS_HOST_DEVICE bool try_spawn(const typename Step::Config& config,
                                                 std::uint32_t next = no_task) {
    require_spawning<Step>();
    return spawner_.make(S::template type_of<Step>(), config, 0, next) != no_task;
  }

  /// Makes a task that runs when `count` (at least 1) others have released it. Returns its id, to
  /// be `next` of just so many; if there is no slot `no_task`, and this task fails. With too few
  /// the run ends as stalled.
  template <class Step>
  AATGS_HOST_DEVICE std::uint32_t spawn_after(std::uint32_t count,
                                              const typename Step::Config& config,
                                              std::uint32_t next = no_task) {
    require_spawning<Step>();
    const std::uint32_t id = spawner_.make(S::template type_of<Step>(), config, count, next);
    if (id == no_task) refuse();
    return id;
  }

  /// The same, and the new task stands for this one: what depends on this one waits for the new one
  /// (which waits for this one as well). At most once in a task, and not in wide ones.
  template <class Step>
  AATGS_HOST_DEVICE std::uint32_t continue_after(std::uint32_t count,
                                                 const typename Step::Config& config) {
    const std::uint32_t id = spawn_after<Step>(count + 1, config);
    if (id != no_task) spawner_.replace_current(id);
    return id;
  }

 private:
  template <class Step>
  static constexpr void require_spawning() {
    static_assert(Spawns, "AATGS: a step with spawns = false spawns: take that away");
    static_assert(!HasResult<Step>,
                  "AATGS: a step with a Result cannot be spawned, since nobody could ask for it: "
                  "let it write into memory that its config points to");
  }

  AATGS_HOST_DEVICE void refuse() {
    WorkerLocalAtomic<std::uint32_t>(memory_.refused).fetch_add(1, cuda::memory_order_relaxed);
    fail(no_room_to_spawn);
  }

  Group& group_;
  TaskWorkerMemory& memory_;
  const TaskSpawner& spawner_;
  void* scratch_;
};

}  // namespace aatgs
