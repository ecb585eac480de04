// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_group.hpp>
#include <cstdint>
#include <type_traits>

namespace aatgs {

/// The graph's task whose dependents are to be released, or `no_task`, and how it has ended.
struct TaskEnding {
  std::uint32_t id = no_task;
  TaskStatus status = TaskStatus::completed;

  AATGS_HOST_DEVICE std::uint64_t packed() const {
    return std::uint64_t{static_cast<std::uint32_t>(status)} << 32 | id;
  }
  AATGS_HOST_DEVICE static TaskEnding unpacked(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word), static_cast<TaskStatus>(word >> 32)};
  }
  AATGS_HOST_DEVICE bool cancels() const { return status != TaskStatus::completed; }
};

/// The task that a worker is at: brings it near, begins it, performs it, and settles what has
/// become of it. "One thread" is the worker's first. `Spawns`: whether there may be spawned tasks;
/// else the task is one of the graph.
///
/// What the first lanes know of it they keep in registers, each lane the same: between two tasks of
/// a chain the worker executes a few hundred instructions one after the other, and that is most of
/// the time it takes.
template <class S, class Group, bool Spawns>
class TaskAtWork {
 public:
  AATGS_HOST_DEVICE TaskAtWork(const S& steps, const TaskWorld& world, const TaskGraphView& graph,
                               Group& group, TaskWorkerMemory& memory, TaskPiece* config,
                               void* scratch)
      : dealer(world, memory, group.block_index(), group.block_count()),
        spawner(world, memory, dealer, S::config_pieces),
        steps_(steps),
        world_(world),
        graph_(graph),
        group_(group),
        memory_(memory),
        config_(config),
        scratch_(scratch) {}

  TaskDealer dealer;
  TaskSpawner spawner;
  TaskHandle task;  ///< of the first lanes, each the same, as the next
  TaskLinks links;
  TaskEdge edge;  ///< of each of the first lanes: one of the task's

  /// Whether the calling thread is the first, or one of the first lanes.
  AATGS_HOST_DEVICE bool first() const { return group_.block_rank() == 0; }
  AATGS_HOST_DEVICE bool leads() const { return group_.block_rank() < group_.task_lanes().size(); }

  AATGS_HOST_DEVICE static bool is_of_graph(const TaskHandle& task) {
    return !Spawns || task.id < first_spawned;
  }

  /// Brings the task's config and its edges; `links` are there. `meanwhile()` is called while they
  /// are on their way.
  template <DealingLanes L, class Meanwhile>
  AATGS_HOST_DEVICE void bring_near(L lanes, const Meanwhile& meanwhile) {
    const TaskPiece* from =
        (is_of_graph(task) ? graph_.configs : world_.spawned_configs) + task.config_at;
    const std::uint32_t pieces = task.is_to_cancel() ? 0 : S::config_pieces_of(task.type());
    // Loads before stores, so that they are on their way together.
    TaskPiece piece{};
    if (lanes.rank() < pieces) piece = from[lanes.rank()];
    if (lanes.rank() < links.edges) edge = graph_.edges[links.first_edge + lanes.rank()];
    meanwhile();
    if (lanes.rank() < pieces) config_[lanes.rank()] = piece;
    for (std::uint32_t i = lanes.rank() + lanes.size(); i < pieces; i += lanes.size()) {
      config_[i] = from[i];
    }
  }

  /// One thread.
  AATGS_HOST_DEVICE void begin() {
    memory_.failed = 0;
    memory_.later = no_task;
    const std::uint64_t now = worker_now_ns();
    memory_.started_ns = now;
    if (!is_of_graph(task) || task.part() != 0) return;
    TaskOutcome& outcome = graph_.outcomes[task.id];
    outcome.worker = group_.block_index();
    outcome.started_ns = now;
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(TaskStatus::running));
  }

  /// Tells all threads which task it is, after a sync. One thread.
  AATGS_HOST_DEVICE void tell_all() {
    memory_.current = {task, links.edges};
    memory_.links = links;
  }

  /// Runs the step. All threads.
  AATGS_HOST_DEVICE void perform(const TaskHandle& current) {
    steps_.visit(current.type(), [&](const auto& step) {
      using Step = std::decay_t<decltype(step)>;
      if constexpr (Spawns || !may_spawn<Step>()) run(step);
    });
  }

  /// Counts the task, which has run or was to be cancelled. One thread, after a sync.
  AATGS_HOST_DEVICE TaskEnding settle() {
    const std::uint64_t now = worker_now_ns();
    memory_.ended_ns = now;
    ++memory_.taken;
    const bool of_graph = is_of_graph(task);
    if (task.is_to_cancel()) {
      // In a schedule all parts of a task come here, else it comes once.
      bool failed = false;
      if (!Spawns && memory_.links.parts != 1 && !is_last_part(failed)) return {};
      if (of_graph) return end_of_graph(task.id, TaskStatus::cancelled);
      memory_.code = spawner.code_of(task.id);
      return end_spawned(TaskStatus::cancelled);
    }
    TaskTypeTime& type = memory_.types[task.type()];
    type = {type.tasks + 1, type.ns + now - memory_.started_ns};
    bool failed = memory_.failed != 0;
    if (of_graph && memory_.links.parts != 1 && !is_last_part(failed)) return {};
    const TaskStatus status = failed ? TaskStatus::failed : TaskStatus::completed;
    if constexpr (Spawns) {
      const std::uint32_t later = memory_.later;
      TaskEnding ending;
      if (!of_graph) {
        ending = end_spawned(status);
      } else if (later == no_task) {
        ending = end_of_graph(task.id, status);
      }
      if (later != no_task) spawner.release(later, failed, memory_.code);
      return ending;
    } else {
      return end_of_graph(task.id, status);
    }
  }

  /// Writes down the end of the graph's task that has ended, if one has. After its dependents are
  /// released, which would have to wait for these stores. One thread.
  AATGS_HOST_DEVICE void note_end(const TaskEnding& ending) {
    if (ending.id == no_task) return;
    TaskOutcome& outcome = graph_.outcomes[ending.id];
    store_shared(&outcome.code, ending.status == TaskStatus::failed ? memory_.code : 0);
    store_shared(&outcome.finished_ns, memory_.ended_ns);
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(ending.status));
  }

  [[nodiscard]] AATGS_HOST_DEVICE TaskRunEnd run_end() const {
    const detail::WorkerAtomic<std::uint32_t> end(world_.run->end);
    return static_cast<TaskRunEnd>(end.load(cuda::memory_order_acquire));
  }

  /// Whether the run has ended, or is to be stopped.
  template <DealingLanes L>
  AATGS_HOST_DEVICE bool look_for_end(L lanes) {
    bool ended = false;
    if (lanes.rank() == 0) {
      if (group_.stop_requested()) dealer.end_run(TaskRunEnd::stopped);
      ended = run_end() != TaskRunEnd::none;
    }
    return lanes.from_first(ended ? 1 : 0) != 0;
  }

  /// Adds this worker's counts to all workers' ones. One thread.
  AATGS_HOST_DEVICE void flush() {
    TaskCounts& all = world_.run->counts;
    move_count(memory_.spawned, all.spawned);
    move_count(memory_.refused, all.refused);
    move_count(memory_.completed, all.completed);
    move_count(memory_.failures, all.failed);
    move_count(memory_.cancelled, all.cancelled);
    move_count(memory_.handed, all.decisions.handed);
    move_count(memory_.claims, all.decisions.claims);
    move_count(memory_.claimed, all.decisions.claimed);
    for (std::uint32_t type = 0; type < S::count; ++type) {
      move_count(memory_.types[type].tasks, all.types[type].tasks);
      move_count(memory_.types[type].ns, all.types[type].ns);
    }
  }

 private:
  template <class Step>
  AATGS_HOST_DEVICE void run(const Step& step) {
    using OwnGroup = TaskGroup<S, Group, may_spawn<Step>()>;
    detail::require_no_hooks<Step, OwnGroup>();
    OwnGroup group(group_, memory_, spawner, scratch_);
    const auto& config = *reinterpret_cast<const typename Step::Config*>(config_);
    if constexpr (HasResult<Step>) {
      TaskPiece* result = graph_.results + memory_.links.result_at;  // of the graph: not spawned
      step(group, config, *reinterpret_cast<typename Step::Result*>(result));
    } else {
      step(group, config);
    }
  }

  template <class Count>
  AATGS_HOST_DEVICE static void move_count(Count& from, std::uint64_t& to) {
    if (from == 0) return;
    detail::WorkerAtomic<std::uint64_t>(to).fetch_add(from, cuda::memory_order_relaxed);
    from = 0;
  }

  /// `failed`: of this part; then, if it is the last one, of any.
  AATGS_HOST_DEVICE bool is_last_part(bool& failed) {
    const std::uint32_t id = task.id;
    constexpr std::uint32_t failed_bit = 1U << 31;
    const detail::WorkerAtomic<std::uint32_t> open(graph_.cells[id].parts_open);
    if (failed) {
      store_shared(&graph_.outcomes[id].code, memory_.code);
      open.fetch_or(failed_bit, cuda::memory_order_relaxed);
    }
    const std::uint32_t before = open.fetch_sub(1, cuda::memory_order_acq_rel);
    if ((before & ~failed_bit) != 1) return false;
    failed = (before & failed_bit) != 0;
    if (failed) memory_.code = load_shared(&graph_.outcomes[id].code);
    return true;
  }

  AATGS_HOST_DEVICE TaskEnding end_of_graph(std::uint32_t id, TaskStatus status) {
    count(status);
    if (status == TaskStatus::failed) {
      std::uint32_t none = no_task;
      detail::WorkerAtomic<std::uint32_t>(world_.run->first_failed)
          .compare_exchange_strong(none, id, cuda::memory_order_relaxed);
    }
    return {id, status};
  }

  AATGS_HOST_DEVICE TaskEnding end_spawned(TaskStatus status) {
    count(status);
    const bool well = status == TaskStatus::completed;
    const std::uint32_t stands_for = spawner.end(task.id, !well, memory_.code);
    if (stands_for == no_task) return {};
    return end_of_graph(stands_for, well ? TaskStatus::completed : TaskStatus::failed);
  }

  AATGS_HOST_DEVICE void count(TaskStatus status) {
    if (status == TaskStatus::completed) {
      memory_.completed += 1;
    } else {
      memory_.failures += status == TaskStatus::failed ? 1 : 0;
      memory_.cancelled += status == TaskStatus::cancelled ? 1 : 0;
    }
  }

  const S& steps_;
  const TaskWorld& world_;
  const TaskGraphView& graph_;
  Group& group_;
  TaskWorkerMemory& memory_;
  TaskPiece* config_;
  void* scratch_;
};

}  // namespace aatgs
