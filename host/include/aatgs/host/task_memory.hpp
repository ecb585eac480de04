// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/task_schedule.hpp>
#include <aatgs/runtime/task_world.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace aatgs {

/// Owns what the workers of a scheduler share. Must outlive them.
class TaskWorldMemory {
 public:
  struct Sizes {
    std::uint32_t most_tasks;   ///< of a graph
    std::uint32_t spawn_slots;  ///< tasks that were spawned and have not ended; a power of two
    std::uint32_t config_pieces;
  };

  /// Throws `OptionError` for sizes that cannot be, else what `Memory` throws.
  TaskWorldMemory(MemoryKind kind, const Sizes& sizes, std::uint64_t patience_ns,
                  const TaskRules& rules, int device);

  [[nodiscard]] TaskWorld world() const;
  /// Parts of a graph's tasks that the queues have room for; at least `most_tasks`. `spawns`:
  /// beside all tasks that can be spawned.
  [[nodiscard]] std::uint32_t room(bool spawns) const {
    return queue_slots_ - (spawns ? sizes_.spawn_slots : 0);
  }
  /// Empties the queues and frees all slots. While no run is on its way.
  void prepare();
  void abandon() noexcept { memory_.abandon(); }  ///< see `Memory`

 private:
  struct Layout;
  [[nodiscard]] Layout layout() const;
  [[nodiscard]] TaskWorld world_at(void* base) const;

  Sizes sizes_;
  TaskRules rules_;
  std::uint32_t queue_slots_;
  std::uint64_t patience_ns_;
  Memory memory_;
};

/// In which order tasks are to be run, as far as that is free.
struct TaskRanking {
  std::vector<std::uint8_t> priorities;  ///< class of each task
  TaskSchedule schedule;                 ///< without turns if the graph has none
};

/// Owns a plan's tasks where workers reach them: structure, configs, outcomes and results. Must
/// outlive its runs. Not thread-safe.
class TaskGraphMemory {
 public:
  /// `configs`: the pieces that the plan's tasks point into. Throws what `Memory` throws, and
  /// `UseError` for a plan with a circle.
  TaskGraphMemory(MemoryKind kind, const TaskPlan& plan, std::span<const TaskPiece> configs,
                  std::uint32_t result_pieces, const TaskRanking& ranking, int device);

  /// For a run by the fixed schedule, or not.
  [[nodiscard]] TaskGraphView view(bool is_fixed) const;
  [[nodiscard]] bool has_schedule() const { return !schedule_.empty(); }
  /// For the next run. While none is on its way.
  void set_ranking(const TaskRanking& ranking);
  /// The configs that the next run takes; the host writes them, while no run is on its way.
  [[nodiscard]] TaskPiece* configs() { return staged_.data(); }
  [[nodiscard]] std::vector<TaskOutcome> outcomes() const;
  /// Copies a result of `bytes` bytes that lies at `result_at`.
  void read_result(void* into, std::size_t bytes, std::uint32_t result_at) const;
  void abandon() noexcept;  ///< see `Memory`

 private:
  struct Layout;
  [[nodiscard]] Layout layout() const;

  std::vector<TaskNode> nodes_;
  std::vector<TaskEdge> edges_;
  std::vector<ScheduledTask> schedule_;
  std::vector<std::uint32_t> begins_;  ///< by worker, in `schedule_`; see `TaskSchedule`
  std::uint32_t result_pieces_;
  std::uint32_t classes_ = 1;
  Buffer<TaskPiece> staged_;
  bool copies_;  ///< workers take the configs from a copy in device memory
  Memory memory_;
};

}  // namespace aatgs
