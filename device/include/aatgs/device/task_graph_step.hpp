// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/scheduled_worker.hpp>
#include <aatgs/device/task_worker.hpp>
#include <cstdint>

namespace aatgs {

/// The step of a scheduler's context: runs a graph once, by all workers of a grid. So that a graph
/// is queued, waited for, aborted and counted like any config, on every executor. `S`: `Steps`.
///
/// A run costs two grid barriers more than its tasks; from one task to the next it takes no barrier
/// and no trip to the host.
template <class S>
class TaskGraphStep {
 public:
  static constexpr unsigned block_threads = S::block_threads;
  static constexpr unsigned blocks_per_sm = S::blocks_per_sm;
  static constexpr bool grid_only = true;

  TaskGraphStep(const S& steps, const TaskWorld& world) : steps_(steps), world_(world) {}

  [[nodiscard]] std::size_t scratch_bytes() const { return own_bytes + steps_.scratch_bytes(); }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const TaskGraphRun& run,
                                    TaskGraphSummary& out) const {
    unsigned char* scratch = group.template scratch<unsigned char>();
    auto& memory = *reinterpret_cast<TaskWorkerMemory*>(scratch);
    auto* config = reinterpret_cast<TaskPiece*>(scratch + sizeof(TaskWorkerMemory));
    if (group.rank() == 0) begin_run(group.block_count());
    if (group.block_rank() == 0) begin_worker(memory, group.block_index());
    arm(group, run.graph);
    group.sync_block();
    if (run.graph.scheduled != 0) {
      group.sync();
      ScheduledWorker<S, Group>(steps_, world_, run.graph, group, memory, config,
                                scratch + own_bytes)
          .run();
    } else {
      TaskWorker<S, Group> worker(steps_, world_, run.graph, group, memory, config,
                                  scratch + own_bytes);
      worker.deal_roots();
      group.sync();
      worker.run();
    }
    group.sync();  // the counts of all workers have come in
    if (group.rank() == 0) summarize(run.graph, out);
  }

 private:
  static constexpr std::size_t own_bytes =
      sizeof(TaskWorkerMemory) + S::config_pieces * sizeof(TaskPiece);

  AATGS_HOST_DEVICE void begin_run(std::uint32_t workers) const {
    TaskRunState& run = *world_.run;
    *world_.waiters.full = 0;
    for (std::uint32_t i = 0; i < TaskWaiters::words_of(workers); ++i) world_.waiters.words[i] = 0;
    run.end = static_cast<std::uint32_t>(workers <= most_task_workers ? TaskRunEnd::none
                                                                      : TaskRunEnd::stuck);
    run.first_failed = no_task;
    run.counts = TaskCounts{};
    run.begun_ns = worker_now_ns();
  }

  AATGS_HOST_DEVICE void begin_worker(TaskWorkerMemory& memory, std::uint32_t worker) const {
    memory = TaskWorkerMemory{};
    memory.later = no_task;
    // A run that was stopped leaves what nobody has taken.
    if (worker < most_task_workers) world_.waiters.boxes[worker] = {};
  }

  /// Sets every task to its beginning, and brings the configs near.
  template <class Group>
  AATGS_HOST_DEVICE void arm(Group& group, const TaskGraphView& graph) const {
    for (std::uint32_t i = group.rank(); i < graph.tasks; i += group.size()) {
      const TaskNode& node = graph.nodes[i];
      graph.cells[i] = {graph.scheduled != 0 ? graph.awaited[i] : node.waits, node.links.parts};
      TaskOutcome outcome{};
      outcome.status = node.waits == 0 ? TaskStatus::ready : TaskStatus::pending;
      graph.outcomes[i] = outcome;
      if (graph.scheduled != 0) graph.open[i] = 1;
    }
    if (graph.staged == graph.configs) return;
    for (std::uint32_t i = group.rank(); i < graph.config_pieces; i += group.size()) {
      const Granule piece = load_granule(reinterpret_cast<const Granule*>(graph.staged + i));
      graph.configs[i] = {{piece.low, piece.high}};
    }
  }

  AATGS_HOST_DEVICE void summarize(const TaskGraphView& graph, TaskGraphSummary& out) const {
    const TaskRunState& run = *world_.run;
    const TaskCounts& counts = run.counts;
    out = TaskGraphSummary{};
    out.first_failed = run.first_failed;
    out.tasks = graph.tasks;
    out.spawned = counts.spawned;
    out.completed = counts.completed;
    out.failed = counts.failed;
    out.cancelled = counts.cancelled;
    out.unfinished =
        graph.tasks + counts.spawned - counts.completed - counts.failed - counts.cancelled;
    out.refused = counts.refused;
    out.decisions = counts.decisions;
    out.end = static_cast<TaskRunEnd>(run.end);
    if (out.end == TaskRunEnd::none) out.end = TaskRunEnd::finished;  // all turns have been taken
    if (out.end == TaskRunEnd::finished && out.unfinished != 0) out.end = TaskRunEnd::stalled;
    out.begun_ns = run.begun_ns;
    out.ended_ns = worker_now_ns();
    for (std::uint32_t type = 0; type < S::count; ++type) out.types[type] = counts.types[type];
  }

  S steps_;
  TaskWorld world_;
};

}  // namespace aatgs
