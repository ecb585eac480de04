// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "parts.hpp"
#include "task_steps.hpp"

namespace aatgs::soak {

/// What a run of a graph should come to.
struct TaskExpectation {
  std::uint64_t spawned = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t sum = 0;  ///< of all marks

  [[nodiscard]] std::uint64_t tasks() const { return completed + failed + cancelled; }
  TaskExpectation& operator+=(const TaskExpectation& more);
};

/// A random graph with what should become of each task.
struct TaskLoad {
  TaskGraph<TaskSoakSteps> graph;
  std::vector<TaskStatus> outcomes;
  TaskExpectation expected;
  TaskDispatch dispatch = TaskDispatch::automatic;
};

/// At most about `most` tasks, spawned ones among them.
TaskLoad draw_tasks(Random& random, std::uint32_t most);

/// Runs a load some times on a new scheduler, dispatched as the load says, and checks every run and
/// every task.
Tally run_tasks(const TaskLoad& load, std::uint32_t runs, SchedulerOptions options,
                const SchedulerMaker& make, Watch& watch);

/// Tasks through random graphs with spawning, failures and cancellations.
PartResult soak_tasks(const Soak& soak, std::uint64_t goal, const SchedulerMaker& make);

}  // namespace aatgs::soak
