// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/graph_runner.hpp>
#include <cmath>
#include <utility>

namespace aatgs {

namespace {

/// The share of the past in a type's mean time, from one run to the next.
constexpr double memory_share = 0.75;
/// Longest wait for the kernel to leave the GPU.
constexpr std::chrono::seconds park_deadline{60};
/// Entries of a fixed schedule, 32 bytes each.
constexpr std::uint64_t most_turns = 1 << 20;
/// A change of times that is worth new priorities.
constexpr double worth_reranking = 0.25;

bool is_like(std::span<const double> a, std::span<const double> b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::abs(a[i] - b[i]) > worth_reranking * std::max(a[i], b[i])) return false;
  }
  return true;
}

/// A type that has not run yet is no type without cost.
bool are_known(std::span<const double> type_ns, const TaskPlan& plan) {
  for (TaskId id = 0; id < plan.size(); ++id) {
    if (type_ns[plan.task(id).type] == 0) return false;
  }
  return true;
}

}  // namespace

GraphRunner::GraphRunner(Context context, std::unique_ptr<TaskWorldMemory> world,
                         const SchedulerOptions& options, std::uint32_t types,
                         std::uint32_t spawning)
    : options_(options),
      spawning_(spawning),
      kind_(memory_of(context.executor())),
      world_(std::move(world)),
      type_ns_(types, 0.0),
      context_(std::move(context)) {}

GraphRunner::~GraphRunner() {
  if (context_.shutdown(StopMode::abort)) return;
  world_->abandon();
  for (const auto& graph : queued_) graph->memory.abandon();
}

std::shared_ptr<GraphState> GraphRunner::prepare(TaskPlan plan, std::span<const TaskPiece> configs,
                                                 std::uint32_t result_pieces) {
  if (plan.size() == 0) throw UseError("a graph without tasks cannot be run: add some first");
  if (plan.size() > options_.most_tasks) {
    throw UseError("a graph of " + std::to_string(plan.size()) +
                   " tasks for a scheduler with most_tasks = " +
                   std::to_string(options_.most_tasks) + ": make that as large");
  }
  const bool fixed = can_be_fixed(plan);
  if (options_.dispatch != TaskDispatch::fixed) require_room(plan);
  const TaskRanking ranking = ranking_of(plan, {}, fixed);
  make_room();
  TaskGraphMemory memory(kind_, plan, configs, result_pieces, ranking, options_.context.device);
  auto graph = std::make_shared<GraphState>(
      GraphState{std::move(plan), std::move(memory), std::vector<double>(type_ns_.size(), 0.0),
                 DispatchChoice(fixed ? options_.dispatch : TaskDispatch::dynamic)});
  rank(*graph);
  graphs_.push_back(graph);
  return graph;
}

bool GraphRunner::can_be_fixed(const TaskPlan& plan) const {
  if (options_.dispatch == TaskDispatch::dynamic) return false;
  std::string why_not;
  std::uint64_t turns = 0;
  for (TaskId id = 0; id < plan.size() && why_not.empty(); ++id) {
    const PlannedTask& task = plan.task(id);
    turns += task.parts;
    if (!may_spawn(task)) continue;
    why_not =
        "task '" + task.name +
        "' may spawn others; give its step `static constexpr bool spawns = false` if it does not";
  }
  if (turns > most_turns) {
    why_not = "its tasks have " + std::to_string(turns) + " parts, more than " +
              std::to_string(most_turns);
  }
  if (why_not.empty() || options_.dispatch == TaskDispatch::automatic) return why_not.empty();
  throw UseError("a graph cannot be given the fixed schedule that was asked for: " + why_not +
                 ", or choose TaskDispatch::automatic");
}

/// Workers push what is ready without asking for room: they would wait for each other.
void GraphRunner::require_room(const TaskPlan& plan) const {
  bool spawns = false;
  for (TaskId id = 0; id < plan.size(); ++id) spawns = spawns || may_spawn(plan.task(id));
  const std::uint64_t parts = plan.most_ready_parts();
  const std::uint32_t room = world_->room(spawns);
  if (parts <= room) return;
  throw UseError("a graph whose tasks can have " + std::to_string(parts) +
                 " parts ready at once, for a scheduler that has room for " + std::to_string(room) +
                 " with most_tasks = " + std::to_string(options_.most_tasks) +
                 " and spawn_slots = " + std::to_string(options_.spawn_slots) +
                 ": make most_tasks at least " + std::to_string(parts) +
                 ", or give wide tasks fewer parts");
}

TaskRanking GraphRunner::ranking_of(const TaskPlan& plan, std::span<const double> type_ns,
                                    bool is_fixed) const {
  TaskRanking ranking{plan.priorities(options_.order, type_ns), {}};
  if (is_fixed) {
    ranking.schedule = make_schedule(plan, options_.order, type_ns, context_.workers());
  }
  return ranking;
}

/// Pinned memory is neither had nor given back beside a kernel: CUDA would wait for its end, for
/// ever if it never parks. So it leaves until the next run, and graphs are kept until then.
void GraphRunner::make_room() {
  if (kind_ == MemoryKind::device && !context_.park(park_deadline)) {
    throw TimeoutError("prepare: the kernel did not leave the GPU within 60 s, with " +
                       std::to_string(queued_.size()) + " graphs on their way; " +
                       context_.hang_report());
  }
  std::erase_if(graphs_, [](const auto& graph) { return graph.use_count() == 1; });
}

/// By the times known now, if they differ much from those known before.
void GraphRunner::rank(GraphState& graph) {
  const bool needs_times =
      options_.order == TaskOrder::critical_path || graph.memory.has_schedule();
  if (!needs_times || is_like(type_ns_, graph.ranked_by)) return;
  if (!are_known(type_ns_, graph.plan)) return;
  graph.memory.set_ranking(ranking_of(graph.plan, type_ns_, graph.memory.has_schedule()));
  graph.choice.start_again();
  graph.ranked_by = type_ns_;
  ++reranked_;
}

std::uint64_t GraphRunner::submit(const std::shared_ptr<GraphState>& graph) {
  if (graph->in_flight) {
    throw UseError("the graph is on its way already: wait for that run, or prepare it twice");
  }
  if (broken_ != TaskRunEnd::none) {
    throw UseError("an earlier run ended as " + std::string(to_string(broken_)) +
                   ", after which this scheduler runs nothing: make a new one");
  }
  rank(*graph);
  const TaskDispatch dispatch = graph->choice.next();
  std::list<std::shared_ptr<GraphState>> place{graph};  // once it is queued nothing may fail
  const QueueResult queued = context_.queue({graph->memory.view(dispatch == TaskDispatch::fixed)});
  if (queued.status == QueueStatus::closed) {
    throw UseError("submit after the scheduler was shut down: make a new one");
  }
  if (!queued) {
    throw TimeoutError("the config ring had no room for a graph within queue_deadline = " +
                       std::to_string(options_.context.queue_deadline.count()) +
                       " ns: wait for some of the " + std::to_string(queued_.size()) +
                       " on their way first");
  }
  graph->in_flight = true;
  graph->dispatch = dispatch;
  queued_.splice(queued_.end(), place);
  return queued.ticket;
}

std::optional<GraphReport> GraphRunner::poll() {
  const auto done = context_.poll();
  if (!done) return std::nullopt;
  return collect(*done);
}

std::optional<GraphReport> GraphRunner::wait(Deadline deadline) {
  const auto done = context_.wait(deadline);
  if (!done) return std::nullopt;
  return collect(*done);
}

GraphReport GraphRunner::collect(const Completion<TaskGraphSummary>& done) {
  GraphState& graph = *queued_.front();
  graph.in_flight = false;
  GraphReport report{done.ticket, graph.dispatch, done.telemetry};
  if (report.all_completed()) graph.choice.note(report.dispatch, report.device_us());
  queued_.pop_front();
  const TaskRunEnd end = done.telemetry.end;
  // A task that waits for ever keeps its slot; others may be on their way and use the rest.
  if (end == TaskRunEnd::stalled) keeps_slots_ = true;
  if (keeps_slots_ && queued_.empty()) {
    world_->prepare();
    keeps_slots_ = false;
  }
  if (end == TaskRunEnd::stuck || end == TaskRunEnd::stopped) broken_ = end;
  learn(done.telemetry);
  return report;
}

void GraphRunner::learn(const TaskGraphSummary& summary) {
  for (std::size_t type = 0; type < type_ns_.size(); ++type) {
    const TaskTypeTime& time = summary.types[type];
    if (time.tasks == 0) continue;
    const double mean = static_cast<double>(time.ns) / static_cast<double>(time.tasks);
    double& known = type_ns_[type];
    known = known == 0 ? mean : memory_share * known + (1 - memory_share) * mean;
  }
}

std::string explain(const TaskPlan& plan, std::span<const TaskOutcome> outcomes, TaskId id) {
  plan.require(id, "explain");
  std::string text;
  for (std::uint32_t steps = 0; steps <= plan.size(); ++steps) {
    text += "task '" + plan.task(id).name + "' ";
    if (id >= outcomes.size()) {
      throw UseError("explain task " + std::to_string(id) + " by " +
                     std::to_string(outcomes.size()) +
                     " outcomes: give those of all tasks, as a prepared graph tells them");
    }
    const TaskOutcome& outcome = outcomes[id];
    if (outcome.status == TaskStatus::failed) {
      return text + "failed with code " + std::to_string(outcome.code);
    }
    if (outcome.status != TaskStatus::cancelled || outcome.cause >= plan.size()) {
      return text + "is " + std::string(to_string(outcome.status));
    }
    text += "was cancelled because ";
    id = outcome.cause;
  }
  return text;
}

}  // namespace aatgs
