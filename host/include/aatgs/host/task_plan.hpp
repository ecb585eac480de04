// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/runtime/task.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

/// Names for kinds of tasks that colouring pipelines have; a step's type is its own, these are for
/// reports and pictures. Any other name is as good.
namespace task_kind {
inline constexpr const char* config_upload = "config upload";
inline constexpr const char* whcr = "whcr";
inline constexpr const char* thermodynamic_anneal = "thermodynamic anneal";
inline constexpr const char* quantum_optimise = "quantum optimise";
inline constexpr const char* lbs_predict = "lbs predict";
inline constexpr const char* telemetry_download = "telemetry download";
inline constexpr const char* phase_transition = "phase transition";
inline constexpr const char* custom = "custom";
}  // namespace task_kind

using TaskId = std::uint32_t;

/// How tasks that are ready take turns.
enum class TaskOrder {
  /// By the longest way to the end of the graph, in the time that tasks of each type were measured
  /// to take (upward rank: H. Topcuoglu, S. Hariri, M. Wu, IEEE TPDS 2002).
  critical_path,
  fifo,   ///< as they become ready
  given,  ///< by the tasks' own priorities
};

/// Which worker runs a task.
enum class TaskDispatch {
  automatic,  ///< the faster one, by the first runs of each graph
  dynamic,    ///< whoever is free when it becomes ready
  /// The one on which `make_schedule` has placed it beforehand: an edge costs less, but a task that
  /// takes another time than its type is not made up for. Not for graphs that have tasks which may
  /// spawn others.
  fixed,
};

/// One task of a plan.
struct PlannedTask {
  std::string name;
  std::uint8_t type = 0;
  std::uint8_t priority = 0;  ///< 0 (first) to 7, for `TaskOrder::given`
  std::uint32_t parts = 1;
  std::uint32_t config_at = 0;  ///< in pieces
  std::uint32_t result_at = 0;
};

/// Tasks and what depends on what; knows nothing of their configs. Not thread-safe.
class TaskPlan {
 public:
  /// Throws `UseError` if `parts` or `priority` cannot be, or there are too many tasks.
  TaskId add(PlannedTask task);
  /// `after` runs when `before` has completed. Twice is as good as once. Throws `UseError` for a
  /// task that is not in the plan, or on itself.
  void add_dependency(TaskId before, TaskId after);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(tasks_.size()); }
  /// Throws `UseError` that says `what` names a task which is not in the plan, if that is so.
  void require(TaskId id, const char* what) const;
  /// Throws as `require` does.
  [[nodiscard]] const PlannedTask& task(TaskId id) const {
    require(id, "a look at a task");
    return tasks_[id];
  }
  /// What depends on `id`; as often as that was said. Throws as `require` does.
  [[nodiscard]] std::span<const TaskId> dependents(TaskId id) const {
    require(id, "a look at dependents");
    return dependents_[id];
  }

  /// Each task after all that it depends on. Throws `UseError` that names a cycle if there is one.
  [[nodiscard]] std::vector<TaskId> order() const;
  /// Never are more parts of its tasks ready at once, whoever runs them when; in most graphs far
  /// fewer. Throws as `order`.
  [[nodiscard]] std::uint64_t most_ready_parts() const;

  /// The class of priority of each task. `type_ns`: time of a task by type; all 1 if none is known.
  [[nodiscard]] std::vector<std::uint8_t> priorities(TaskOrder how,
                                                     std::span<const double> type_ns) const;
  /// The tasks in the order of their turns: each after all that it depends on, else by `how`. The
  /// plan has no cycle.
  [[nodiscard]] std::vector<TaskId> turns(TaskOrder how, std::span<const double> type_ns) const;

  /// In the language of Graphviz; tasks are coloured by what became of them if that is given.
  [[nodiscard]] std::string to_dot(std::span<const TaskOutcome> outcomes = {}) const;

 private:
  /// Time from the begin of each task to the end of the graph, with workers enough.
  [[nodiscard]] std::vector<double> ranks(std::span<const double> type_ns) const;
  [[nodiscard]] std::string describe_cycle(std::span<const std::uint32_t> waits) const;

  std::vector<PlannedTask> tasks_;
  std::vector<std::vector<TaskId>> dependents_;
};

std::string_view to_string(TaskStatus status);
std::string_view to_string(TaskRunEnd end);
std::string_view to_string(TaskDispatch dispatch);

}  // namespace aatgs
