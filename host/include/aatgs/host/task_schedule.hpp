// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/task_plan.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace aatgs {

/// Which worker runs what of a graph, and in which order.
struct TaskSchedule {
  struct Turn {
    TaskId task;
    std::uint32_t part;
  };
  std::vector<Turn> turns;  ///< those of worker 0, of worker 1, ...; empty: the graph has none
  /// [workers + 1] where those of each worker begin; the last one is where all end.
  std::vector<std::uint32_t> begins;
};

/// Places all tasks beforehand, in the order of `plan.turns(how, type_ns)`, each on the worker on
/// which it begins first by the times of their types (HEFT without insertion: H. Topcuoglu, S.
/// Hariri, M. Wu, IEEE TPDS 2002). A task that waits for one more than for all others may begin
/// earlier on the worker of that one, as nothing has to go from worker to worker.
///
/// `type_ns`: time of a task by type; none take any if it is empty. `workers`: at least 1. The plan
/// has no cycle. Whoever takes the turns of all workers in their orders never waits in a circle.
[[nodiscard]] TaskSchedule make_schedule(const TaskPlan& plan, TaskOrder how,
                                         std::span<const double> type_ns, std::uint32_t workers);

}  // namespace aatgs
