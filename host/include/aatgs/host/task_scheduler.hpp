// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <aatgs/host/graph_runner.hpp>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace aatgs {

struct TaskOptions {
  /// Workers that run it side by side, each its own `group.part()`. Takes the room of as many tasks
  /// while it is ready: see `SchedulerOptions::most_tasks`.
  std::uint32_t parts = 1;
  std::uint8_t priority = 0;  ///< 0 (first) to 7, for `TaskOrder::given`
};

/// Tasks with their configs and what depends on what, for schedulers with the steps `S`. Nothing is
/// run or checked as a whole before `TaskScheduler::prepare`. Not thread-safe.
template <class S>
class TaskGraph {
 public:
  /// Adds a task that runs `Step` with `config` after `dependencies`. Throws `UseError`, and then
  /// adds nothing.
  template <class Step>
  TaskId add(std::string name, const typename Step::Config& config,
             std::span<const TaskId> dependencies = {}, const TaskOptions& options = {}) {
    for (const TaskId before : dependencies) plan_.require(before, "a dependency");
    PlannedTask task;
    task.name = std::move(name);
    task.type = S::template type_of<Step>();
    task.priority = options.priority;
    task.parts = options.parts;
    task.config_at = static_cast<std::uint32_t>(configs_.size());
    task.result_at = result_pieces_;
    const TaskId id = plan_.add(std::move(task));
    configs_.resize(configs_.size() + pieces_for(sizeof(config)));
    std::memcpy(static_cast<void*>(&configs_[plan_.task(id).config_at]), &config, sizeof(config));
    result_pieces_ += detail::result_pieces<Step>();
    for (const TaskId before : dependencies) plan_.add_dependency(before, id);
    return id;
  }
  template <class Step>
  TaskId add(std::string name, const typename Step::Config& config,
             std::initializer_list<TaskId> dependencies, const TaskOptions& options = {}) {
    return add<Step>(std::move(name), config,
                     std::span<const TaskId>(dependencies.begin(), dependencies.size()), options);
  }

  /// `after` runs when `before` has completed. Throws `UseError`.
  void add_dependency(TaskId before, TaskId after) { plan_.add_dependency(before, after); }

  [[nodiscard]] const TaskPlan& plan() const { return plan_; }
  [[nodiscard]] std::span<const TaskPiece> configs() const { return configs_; }
  [[nodiscard]] std::uint32_t result_pieces() const { return result_pieces_; }

 private:
  TaskPlan plan_;
  std::vector<TaskPiece> configs_;
  std::uint32_t result_pieces_ = 0;
};

/// A graph in the workers' memory, to be run as often as one likes. Must not outlive the
/// scheduler's use of it: the scheduler keeps it until its runs have ended. Not thread-safe.
template <class S>
class PreparedGraph {
 public:
  explicit PreparedGraph(std::shared_ptr<GraphState> state) : state_(std::move(state)) {}

  /// The config of a task for the next run. Throws `UseError` if the task's step is another one, or
  /// while a run is on its way.
  template <class Step>
  [[nodiscard]] typename Step::Config& config(TaskId id) {
    require<Step>(id, "config");
    return *reinterpret_cast<typename Step::Config*>(state_->memory.configs() +
                                                     state_->plan.task(id).config_at);
  }

  /// Of the last run. Throws `UseError` as `config` does.
  template <class Step>
  [[nodiscard]] typename Step::Result result(TaskId id) const {
    require<Step>(id, "result");
    typename Step::Result result;
    state_->memory.read_result(&result, sizeof(result), state_->plan.task(id).result_at);
    return result;
  }
  /// What became of each task in the last run. On CPU threads not while a run is on its way.
  [[nodiscard]] std::vector<TaskOutcome> outcomes() const { return state_->memory.outcomes(); }
  /// Why a task did not complete, by the names of the tasks that led to it. Throws `UseError` for
  /// one that is not in the graph.
  [[nodiscard]] std::string explain(TaskId id) const {
    return aatgs::explain(state_->plan, outcomes(), id);
  }
  [[nodiscard]] const TaskPlan& plan() const { return state_->plan; }
  [[nodiscard]] const std::shared_ptr<GraphState>& state() const { return state_; }

 private:
  template <class Step>
  void require(TaskId id, const char* what) const {
    state_->plan.require(id, what);
    const PlannedTask& task = state_->plan.task(id);
    if (task.type != S::template type_of<Step>()) {
      throw UseError(std::string(what) + " of task '" + task.name +
                     "' as that of another step: name the step that it was added with");
    }
    if (state_->in_flight) {
      throw UseError(std::string(what) + " of task '" + task.name +
                     "' while its graph is on its way: wait for that run first");
    }
  }

  std::shared_ptr<GraphState> state_;
};

/// Runs graphs of tasks inside one resident kernel (or on CPU threads): from one task to the next
/// it takes an atomic in the GPU's memory, no launch and no trip to the host. Several graphs can be
/// on their way; they run one after the other. Make one with `make_scheduler` (in a .cu file) or
/// `make_cpu_scheduler`. One thread at a time.
template <class S>
class TaskScheduler : public GraphRunner {
 public:
  TaskScheduler(Context context, std::unique_ptr<TaskWorldMemory> world,
                const SchedulerOptions& options)
      : GraphRunner(std::move(context), std::move(world), options, S::count, S::spawning) {}

  /// Checks a graph and brings it to the workers. Throws `UseError` for a graph with a circle
  /// (which it names), an empty one, or one of more tasks, or parts ready at once, than
  /// `most_tasks` gives room for; what `Memory` throws.
  [[nodiscard]] PreparedGraph<S> prepare(const TaskGraph<S>& graph) {
    return PreparedGraph<S>(
        GraphRunner::prepare(graph.plan(), graph.configs(), graph.result_pieces()));
  }
  std::uint64_t submit(PreparedGraph<S>& graph) { return GraphRunner::submit(graph.state()); }
  /// Runs a graph and waits for it, with nothing else on its way. Throws `UseError`,
  /// `TimeoutError`.
  GraphReport run(PreparedGraph<S>& graph, Deadline deadline = std::chrono::seconds(60)) {
    if (in_flight() != 0) throw UseError("run while other graphs are on their way: wait for those");
    submit(graph);
    if (auto report = wait(deadline)) return *report;
    throw TimeoutError("a graph of " + std::to_string(graph.plan().size()) +
                       " tasks did not end within its deadline of " +
                       std::to_string(deadline.count()) + " ns (" + context().hang_report() +
                       "): give it more time, or wait for it");
  }
};

}  // namespace aatgs
