// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/task_plan.hpp>
#include <aatgs/runtime/ring_shape.hpp>
#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <queue>
#include <tuple>

namespace aatgs {

namespace {

std::string in_dot(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + '"';
}

const char* fill_of(TaskStatus status) {
  switch (status) {
    case TaskStatus::completed:
      return "palegreen";
    case TaskStatus::failed:
      return "salmon";
    case TaskStatus::cancelled:
      return "lightgrey";
    default:
      return "white";
  }
}

}  // namespace

TaskId TaskPlan::add(PlannedTask task) {
  if (tasks_.size() >= max_ring_slots) {
    throw UseError("task '" + task.name + "' would be one more than the " +
                   std::to_string(max_ring_slots) + " that a graph can have: make it two graphs");
  }
  if (task.parts < 1 || task.parts > most_task_parts) {
    throw UseError("task '" + task.name + "' has " + std::to_string(task.parts) +
                   " parts: give it 1 to " + std::to_string(most_task_parts));
  }
  if (task.priority >= task_priorities) {
    throw UseError("task '" + task.name + "' has priority " + std::to_string(task.priority) +
                   ": give it 0 (first) to " + std::to_string(task_priorities - 1));
  }
  tasks_.push_back(std::move(task));
  dependents_.emplace_back();
  return size() - 1;
}

void TaskPlan::require(TaskId id, const char* what) const {
  if (id < size()) return;
  throw UseError(std::string(what) + " names task " + std::to_string(id) +
                 ", but the graph has only " + std::to_string(size()) +
                 ": use an id that adding a task to this graph returned");
}

void TaskPlan::add_dependency(TaskId before, TaskId after) {
  require(before, "a dependency");
  require(after, "a dependency");
  if (before == after) {
    throw UseError("task '" + tasks_[before].name + "' cannot depend on itself");
  }
  dependents_[before].push_back(after);
}

std::vector<TaskId> TaskPlan::order() const {
  std::vector<std::uint32_t> waits(size(), 0);
  for (const auto& dependents : dependents_) {
    for (const TaskId id : dependents) ++waits[id];
  }
  std::vector<TaskId> ordered;
  ordered.reserve(size());
  for (TaskId id = 0; id < size(); ++id) {
    if (waits[id] == 0) ordered.push_back(id);
  }
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (const TaskId id : dependents_[ordered[i]]) {
      if (--waits[id] == 0) ordered.push_back(id);
    }
  }
  if (ordered.size() == size()) return ordered;
  throw UseError("the tasks wait for each other in a circle: " + describe_cycle(waits) +
                 "; take one of these dependencies away");
}

/// Places flow through the graph: a task needs one for each of its parts, and hands on what it has
/// to those that depend on it, the last of which gets what the others do not need. No place comes
/// through two tasks that can be ready at once: one of these would depend on the other.
std::uint64_t TaskPlan::most_ready_parts() const {
  std::uint64_t places = 0;
  std::vector<std::uint64_t> has(size(), 0);
  for (const TaskId id : order()) {
    const std::uint64_t parts = tasks_[id].parts;
    if (has[id] < parts) places += parts - has[id];
    std::uint64_t left = std::max(has[id], parts);
    const std::vector<TaskId>& dependents = dependents_[id];
    for (std::size_t i = 0; i < dependents.size(); ++i) {
      const TaskId next = dependents[i];
      const std::uint64_t needs =
          std::max<std::uint64_t>(tasks_[next].parts, has[next]) - has[next];
      const std::uint64_t given = i + 1 == dependents.size() ? left : std::min(left, needs);
      has[next] += given;
      left -= given;
    }
  }
  return places;
}

/// `waits`: above 0 for what is in a circle or behind one. Every task in a circle has a predecessor
/// that waits, so walking backwards never ends, and comes round.
std::string TaskPlan::describe_cycle(std::span<const std::uint32_t> waits) const {
  std::vector<TaskId> before(size(), no_task);
  for (TaskId id = 0; id < size(); ++id) {
    if (waits[id] == 0) continue;
    for (const TaskId dependent : dependents_[id]) {
      if (waits[dependent] != 0) before[dependent] = id;
    }
  }
  TaskId at = 0;
  while (waits[at] == 0) ++at;
  for (std::uint32_t i = 0; i < size(); ++i) at = before[at];  // now surely in the circle
  std::vector<TaskId> circle{at};
  for (TaskId id = before[at]; id != at; id = before[id]) circle.push_back(id);
  circle.push_back(at);
  std::string text;
  for (auto id = circle.rbegin(); id != circle.rend(); ++id) {
    if (circle.size() > 12 && id == circle.rbegin() + 6) {
      text += " -> (" + std::to_string(circle.size() - 10) + " more)";
      id += static_cast<std::ptrdiff_t>(circle.size()) - 11;
      continue;
    }
    text += (text.empty() ? "'" : " -> '") + tasks_[*id].name + "'";
  }
  return text;
}

std::vector<double> TaskPlan::ranks(std::span<const double> type_ns) const {
  std::vector<double> rank(size(), 0);
  const std::vector<TaskId> ordered = order();
  for (auto id = ordered.rbegin(); id != ordered.rend(); ++id) {
    double behind = 0;
    for (const TaskId dependent : dependents_[*id]) behind = std::max(behind, rank[dependent]);
    const std::uint8_t type = tasks_[*id].type;
    rank[*id] = behind + (type < type_ns.size() ? type_ns[type] : 1.0);
  }
  return rank;
}

std::vector<TaskId> TaskPlan::turns(TaskOrder how, std::span<const double> type_ns) const {
  std::vector<double> late(size(), 0);
  if (how == TaskOrder::given) {
    for (TaskId id = 0; id < size(); ++id) late[id] = tasks_[id].priority;
  } else if (how == TaskOrder::critical_path) {
    late = ranks(type_ns);
    for (double& rank : late) rank = -rank;
  }
  std::vector<std::uint32_t> waits(size(), 0);
  for (const auto& dependents : dependents_) {
    for (const TaskId id : dependents) ++waits[id];
  }
  // Least late first, else as they become ready.
  using Ready = std::tuple<double, std::uint32_t, TaskId>;
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready;
  std::uint32_t came = 0;
  for (TaskId id = 0; id < size(); ++id) {
    if (waits[id] == 0) ready.emplace(late[id], came++, id);
  }
  std::vector<TaskId> turns;
  turns.reserve(size());
  while (!ready.empty()) {
    turns.push_back(std::get<2>(ready.top()));
    ready.pop();
    for (const TaskId id : dependents_[turns.back()]) {
      if (--waits[id] == 0) ready.emplace(late[id], came++, id);
    }
  }
  return turns;
}

std::vector<std::uint8_t> TaskPlan::priorities(TaskOrder how,
                                               std::span<const double> type_ns) const {
  std::vector<std::uint8_t> classes(size(), 0);
  if (how == TaskOrder::fifo) return classes;
  if (how == TaskOrder::given) {
    for (TaskId id = 0; id < size(); ++id) classes[id] = tasks_[id].priority;
    return classes;
  }
  const std::vector<double> rank = ranks(type_ns);
  // As many tasks in each class: with classes of equal shares of the longest way, all that are
  // ready at a time fall into one or two, and in a simulation of 132 workers half of the gain was
  // lost.
  std::vector<TaskId> by_rank(size());
  std::iota(by_rank.begin(), by_rank.end(), 0U);
  std::stable_sort(by_rank.begin(), by_rank.end(),
                   [&](TaskId a, TaskId b) { return rank[a] > rank[b]; });
  // Numbers without gaps, as workers look into the queue of each class up to the last.
  std::size_t eighth = 0;
  std::uint8_t last = 0;
  for (std::size_t i = 1; i < size(); ++i) {
    const bool is_like_last = rank[by_rank[i]] == rank[by_rank[i - 1]];
    if (!is_like_last && i * task_priorities / size() != eighth) {
      eighth = i * task_priorities / size();
      ++last;
    }
    classes[by_rank[i]] = last;
  }
  return classes;
}

std::string TaskPlan::to_dot(std::span<const TaskOutcome> outcomes) const {
  std::string dot = "digraph tasks {\n  node [shape=box, style=filled, fillcolor=white];\n";
  for (TaskId id = 0; id < size(); ++id) {
    const PlannedTask& task = tasks_[id];
    std::string label = task.name;
    if (task.parts > 1) label += " (" + std::to_string(task.parts) + " parts)";
    dot += "  t" + std::to_string(id) + " [label=" + in_dot(label);
    if (id < outcomes.size()) {
      dot += std::string(", fillcolor=") + fill_of(outcomes[id].status) +
             ", tooltip=" + in_dot(to_string(outcomes[id].status));
    }
    dot += "];\n";
  }
  for (TaskId id = 0; id < size(); ++id) {
    for (const TaskId dependent : dependents_[id]) {
      dot += "  t" + std::to_string(id) + " -> t" + std::to_string(dependent) + ";\n";
    }
  }
  return dot + "}\n";
}

std::string_view to_string(TaskStatus status) {
  constexpr std::array<std::string_view, 6> names{"pending",   "ready",  "running",
                                                  "completed", "failed", "cancelled"};
  const auto i = static_cast<std::size_t>(status);
  return i < names.size() ? names[i] : "unknown";
}

std::string_view to_string(TaskRunEnd end) {
  constexpr std::array<std::string_view, 5> names{"running", "finished", "stalled", "stopped",
                                                  "stuck"};
  const auto i = static_cast<std::size_t>(end);
  return i < names.size() ? names[i] : "unknown";
}

std::string_view to_string(TaskDispatch dispatch) {
  constexpr std::array<std::string_view, 3> names{"automatic", "dynamic", "fixed"};
  const auto i = static_cast<std::size_t>(dispatch);
  return i < names.size() ? names[i] : "unknown";
}

}  // namespace aatgs
