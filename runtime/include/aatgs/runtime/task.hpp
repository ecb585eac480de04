// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/granule.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace aatgs {

/// Classes of priority; 0 is taken first.
inline constexpr std::uint32_t task_priorities = 8;
/// Workers that one scheduler can have: more than any GPU holds at once.
inline constexpr std::uint32_t most_task_workers = 1 << 13;
/// Types of tasks that one scheduler can have.
inline constexpr std::uint32_t most_task_types = 16;
/// No task, where the id of one could be.
inline constexpr std::uint32_t no_task = ~0U;
/// Ids from here on are those of spawned tasks, lower ones those of a graph's.
inline constexpr std::uint32_t first_spawned = 1U << 31;
/// The code of a task that spawned one for which there was no room.
inline constexpr std::uint32_t no_room_to_spawn = 0xFFFF'0001U;

enum class TaskStatus : std::uint32_t {
  pending,  ///< waits for others
  ready,    ///< waits for a worker
  running,  ///< runs, or what it spawned to stand for it does
  completed,
  failed,     ///< by `fail(code)`
  cancelled,  ///< never run: one that it depends on failed or was cancelled
};

/// What workers hand each other: all that a worker needs to fetch the task's config at once. One
/// granule of a task queue.
///
/// Whole words: bytes of their own would be taken apart and put together at every move.
struct TaskHandle {
  std::uint32_t id = no_task;
  std::uint32_t config_at = 0;  ///< in pieces
  std::uint32_t kind = 0;       ///< type, priority << 8, part << 16

  AATGS_HOST_DEVICE static constexpr TaskHandle make(std::uint32_t id, std::uint32_t config_at,
                                                     std::uint8_t type, std::uint8_t priority) {
    return {id, config_at, type | std::uint32_t{priority} << 8};
  }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint32_t type() const { return kind & 0xFF; }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint32_t priority() const {
    return kind >> 8 & 0xFF;
  }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint32_t part() const { return kind >> 16; }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr TaskHandle with_part(std::uint32_t part) const {
    return {id, config_at, (kind & 0xFFFF) | part << 16};
  }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr TaskHandle with_priority(std::uint32_t level) const {
    return {id, config_at, (kind & 0xFFFF'00FF) | level << 8};
  }

  /// Instead of a task: `count` edges of a graph from `first_edge` on, whose targets are ready.
  AATGS_HOST_DEVICE static constexpr TaskHandle make_run(std::uint32_t first_edge,
                                                         std::uint32_t count,
                                                         std::uint32_t priority) {
    return {first_edge, count, run_type | priority << 8};
  }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr bool is_run() const { return type() == run_type; }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint32_t run_length() const { return config_at; }
  static constexpr std::uint32_t run_type = 0xFF;

  /// Instead of a task: there are some in the queues.
  AATGS_HOST_DEVICE static constexpr TaskHandle make_hint() { return {0, 0, hint_type}; }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr bool is_hint() const { return type() == hint_type; }
  static constexpr std::uint32_t hint_type = 0xFE;

  /// Instead of a part: the task is to be cancelled rather than run.
  [[nodiscard]] AATGS_HOST_DEVICE constexpr TaskHandle to_cancel() const {
    return with_part(cancelled);
  }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr bool is_to_cancel() const {
    return part() == cancelled;
  }
  static constexpr std::uint32_t cancelled = 0xFFFF;
};
static_assert(sizeof(TaskHandle) == granule_payload_bytes);

inline constexpr std::uint32_t most_task_parts = TaskHandle::cancelled;

/// Configs and results of tasks lie in pieces of 16 bytes.
struct alignas(16) TaskPiece {
  std::uint64_t words[2];
};

constexpr std::uint32_t pieces_for(std::size_t bytes) {
  return static_cast<std::uint32_t>((bytes + sizeof(TaskPiece) - 1) / sizeof(TaskPiece));
}

/// A task that waits for another; what is needed of it when that one has ended.
struct alignas(16) TaskEdge {
  TaskHandle target;
  std::uint16_t parts = 1;  ///< of the target
  /// Edges from this one on whose targets wait for nothing else, have one part, and share a
  /// priority: they need no counter, and can be pushed together. 0: this one's is no such target.
  std::uint16_t run = 0;
};

/// Of a task of a graph, what is needed when it runs and ends. One load.
struct alignas(16) TaskLinks {
  std::uint16_t parts = 1;       ///< workers that run it side by side, each its own part
  std::uint16_t is_awaited = 0;  ///< in a schedule: whether other workers have tasks that depend on
                                 ///< this one alone
  std::uint32_t result_at = 0;   ///< in pieces
  std::uint32_t first_edge = 0;
  std::uint32_t edges = 0;  ///< tasks that depend on it
};

/// A task of a graph: what does not change from run to run.
struct alignas(32) TaskNode {
  TaskLinks links;
  TaskHandle handle;        ///< of its first part
  std::uint32_t waits = 0;  ///< tasks that it depends on
};
static_assert(sizeof(TaskNode) == 32);

/// A task in its turn of a fixed schedule: all that a worker needs to begin and to end it. One
/// load.
struct alignas(16) ScheduledTask {
  /// Without edges to tasks of the same worker, whose turns come later anyway, and to those that
  /// wait for nothing else; alike for like edges.
  TaskLinks links;
  TaskHandle handle;
  /// The only task that it depends on, if it is only one and another worker has it.
  std::uint32_t behind = no_task;
};
static_assert(sizeof(ScheduledTask) == 32);

/// The words of a task on which workers meet. Set anew for each run.
struct TaskCell {
  std::uint32_t waiting;     ///< dependencies open; see `release_task`
  std::uint32_t parts_open;  ///< parts that have not ended; the upper bit: one has failed
};

/// What became of a task of a graph.
struct TaskOutcome {
  TaskStatus status = TaskStatus::pending;
  std::uint32_t code = 0;  ///< failed: the code of `fail`
  std::uint32_t cause =
      no_task;               ///< cancelled: a task that it depends on and that did not complete
  std::uint32_t worker = 0;  ///< that began it
  std::uint64_t started_ns =
      0;  ///< of the workers' clock: `%globaltimer`, or the host's steady clock
  std::uint64_t finished_ns = 0;  ///< 0 until it has ended
};

/// A spawned task, in one of the scheduler's slots.
struct SpawnedTask {
  std::uint32_t waiting;     ///< dependencies open; see `release_task`
  std::uint32_t next;        ///< a spawned task that depends on this one, or `no_task`
  std::uint32_t stands_for;  ///< the task of the graph that ends when this one does, or `no_task`
  std::uint32_t code;        ///< why it is to be cancelled
  TaskHandle handle;
};

/// Time that tasks of one type took.
struct TaskTypeTime {
  std::uint64_t tasks;  ///< parts of wide tasks count one by one
  std::uint64_t ns;
};

/// How a run of a graph came to its end.
enum class TaskRunEnd : std::uint32_t {
  none,      ///< it is running
  finished,  ///< every task has ended
  stalled,   ///< the rest waits for what nobody will do: a spawned task is released too seldom
  stopped,   ///< the context was aborted
  stuck,     ///< a worker waited in vain for another one: this scheduler is of no use any more
};

/// The tasks of a graph in memory that its workers reach. Owns nothing.
struct TaskGraphView {
  const TaskNode* nodes;    ///< [tasks]
  const TaskEdge* edges;    ///< the nodes' `first_edge`, `edges` point here
  TaskCell* cells;          ///< [tasks]
  TaskOutcome* outcomes;    ///< [tasks]
  TaskPiece* configs;       ///< [config_pieces]
  const TaskPiece* staged;  ///< [config_pieces] where the host writes them; may be `configs`
  TaskPiece* results;       ///< the nodes' `result_at` point here
  /// Every part of every task: the turns of worker 0 in their order, those of worker 1, ...
  const ScheduledTask* schedule;
  const std::uint32_t* begins;   ///< [scheduled + 1] where the turns of each worker begin and end
  const std::uint32_t* awaited;  ///< [tasks] dependencies that end on other workers of a schedule
  std::uint32_t* open;           ///< [tasks] 1 until a task has ended; with a schedule
  std::uint32_t tasks;
  std::uint32_t config_pieces;
  std::uint32_t classes;    ///< of priority that its tasks have: 0 to this one less 1
  std::uint32_t scheduled;  ///< workers that have turns; 0: all take tasks as they become ready
};

/// The config that runs a graph once.
struct TaskGraphRun {
  TaskGraphView graph;
};

/// What workers did with tasks that were ready; see `TaskRules`.
struct TaskDecisions {
  std::uint64_t handed;   ///< tasks, runs of tasks and hints put into a box
  std::uint64_t claims;   ///< of entries in the queues
  std::uint64_t claimed;  ///< entries taken by these
};

/// The telemetry of that. tasks + spawned == completed + failed + cancelled + unfinished.
struct TaskGraphSummary {
  TaskRunEnd end;
  std::uint32_t first_failed;  ///< a task that failed, as early as any but for a few; or `no_task`
  std::uint64_t tasks;         ///< of the graph
  std::uint64_t spawned;
  std::uint64_t completed;
  std::uint64_t failed;
  std::uint64_t cancelled;
  std::uint64_t unfinished;  ///< neither; 0 but for runs that did not finish
  std::uint64_t refused;     ///< calls of spawn for which there was no room
  std::uint64_t begun_ns;    ///< of the workers' clock
  std::uint64_t ended_ns;
  TaskDecisions decisions;
  TaskTypeTime types[most_task_types];
};

}  // namespace aatgs
