// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/dispatch_choice.hpp>
#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/task_memory.hpp>
#include <aatgs/host/task_plan.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace aatgs {

struct SchedulerOptions {
  /// The executor is automatic, resident or cpu; the scope is the scheduler's own affair.
  ContextOptions context{};
  /// Of one graph; and of their parts (`TaskOptions::parts`), those that can be ready at once.
  std::uint32_t most_tasks = 1 << 16;
  std::uint32_t spawn_slots = 1 << 14;  ///< tasks that were spawned and have not ended; 2^n
  TaskOrder order = TaskOrder::critical_path;
  TaskDispatch dispatch = TaskDispatch::automatic;
  TaskRules rules{};  ///< of dynamic dispatch
};

/// What a run of a graph came to.
struct GraphReport {
  std::uint64_t ticket = 0;
  TaskDispatch dispatch = TaskDispatch::dynamic;  ///< never automatic
  TaskGraphSummary summary{};

  [[nodiscard]] bool all_completed() const {
    return summary.end == TaskRunEnd::finished && summary.failed == 0 && summary.cancelled == 0;
  }
  /// On the workers' clock, from when they take the run, its configs first, to the last one's end.
  [[nodiscard]] double device_us() const {
    return static_cast<double>(summary.ended_ns - summary.begun_ns) * 1e-3;
  }
};

/// A graph in memory of the workers. `TaskScheduler::prepare` makes one.
struct GraphState {
  TaskPlan plan;
  TaskGraphMemory memory;
  std::vector<double> ranked_by;  ///< times of the types, by which the order was set
  DispatchChoice choice;
  TaskDispatch dispatch = TaskDispatch::dynamic;  ///< of the last run
  bool in_flight = false;
};

/// Runs prepared graphs, one after the other; what `TaskScheduler` does without knowing steps. One
/// thread at a time.
class GraphRunner {
 public:
  using Context = GpuExecutionContext<TaskGraphRun, TaskGraphSummary>;
  using Deadline = std::chrono::nanoseconds;

  GraphRunner(Context context, std::unique_ptr<TaskWorldMemory> world,
              const SchedulerOptions& options, std::uint32_t types, std::uint32_t spawning);
  ~GraphRunner();
  GraphRunner(const GraphRunner&) = delete;
  GraphRunner& operator=(const GraphRunner&) = delete;

  /// Throws `UseError` for a plan with a circle, an empty one, one of more than `most_tasks`, one
  /// of which more parts can be ready at once than there is room for, or, if dispatch is to be
  /// fixed, one with tasks that may spawn others; `TimeoutError` if the kernel does not leave the
  /// GPU for it, which it does after the graphs on their way.
  [[nodiscard]] std::shared_ptr<GraphState> prepare(TaskPlan plan,
                                                    std::span<const TaskPiece> configs,
                                                    std::uint32_t result_pieces);
  /// Queues a run. Returns its ticket. Throws `UseError` if the graph is on its way already or
  /// after shutdown, `TimeoutError` if the config ring stays full.
  std::uint64_t submit(const std::shared_ptr<GraphState>& graph);
  /// The next finished run, in the order of the tickets; never waits.
  [[nodiscard]] std::optional<GraphReport> poll();
  /// The same, waited for; empty if nothing is on its way or the deadline has passed.
  [[nodiscard]] std::optional<GraphReport> wait(Deadline deadline);

  [[nodiscard]] std::size_t in_flight() const { return queued_.size(); }
  /// Mean time of a task by type (ns), exponentially weighted over the runs; 0: not measured yet.
  [[nodiscard]] std::span<const double> type_ns() const { return type_ns_; }
  /// How often a graph's priorities were set anew, since measured times had changed.
  [[nodiscard]] std::uint64_t reranked() const { return reranked_; }
  /// For `stats`, `park`, `request_abort`, `shutdown`, `reason`.
  [[nodiscard]] Context& context() { return context_; }

 private:
  GraphReport collect(const Completion<TaskGraphSummary>& done);
  void learn(const TaskGraphSummary& summary);
  void rank(GraphState& graph);
  [[nodiscard]] TaskRanking ranking_of(const TaskPlan& plan, std::span<const double> type_ns,
                                       bool is_fixed) const;
  [[nodiscard]] bool may_spawn(const PlannedTask& task) const {
    return (spawning_ >> task.type & 1) != 0;
  }
  [[nodiscard]] bool can_be_fixed(const TaskPlan& plan) const;
  void require_room(const TaskPlan& plan) const;
  void make_room();

  SchedulerOptions options_;
  std::uint32_t spawning_;  ///< a bit for each type whose tasks may spawn others
  MemoryKind kind_;
  std::unique_ptr<TaskWorldMemory> world_;
  std::vector<double> type_ns_;
  std::uint64_t reranked_ = 0;
  TaskRunEnd broken_ = TaskRunEnd::none;  ///< by a run after which no other can be
  bool keeps_slots_ = false;              ///< by a stalled run, until nothing is on its way
  std::list<std::shared_ptr<GraphState>> queued_;
  std::vector<std::shared_ptr<GraphState>> graphs_;  ///< all, until `make_room` or the end
  Context context_;
};

/// Why a task did not complete, by the names of the tasks that led to it; or what it came to.
/// Throws `UseError` for one that is not in the plan, or has no outcome.
std::string explain(const TaskPlan& plan, std::span<const TaskOutcome> outcomes, TaskId id);

}  // namespace aatgs
