// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/task_trace.hpp>
#include <algorithm>
#include <tuple>
#include <vector>

#include "chrome_trace.hpp"

namespace aatgs {

namespace {

/// What ran, by worker and then by start.
std::vector<TaskId> in_order(std::span<const TaskOutcome> outcomes) {
  std::vector<TaskId> ran;
  for (TaskId id = 0; id < outcomes.size(); ++id) {
    if (outcomes[id].started_ns != 0 && outcomes[id].finished_ns != 0) ran.push_back(id);
  }
  std::sort(ran.begin(), ran.end(), [&](TaskId a, TaskId b) {
    const TaskOutcome& x = outcomes[a];
    const TaskOutcome& y = outcomes[b];
    return std::tie(x.worker, x.started_ns, x.finished_ns) <
           std::tie(y.worker, y.started_ns, y.finished_ns);
  });
  return ran;
}

}  // namespace

std::string to_chrome_trace(const TaskPlan& plan, std::span<const TaskOutcome> outcomes) {
  const std::vector<TaskId> ran = in_order(outcomes);
  std::uint64_t origin = ~std::uint64_t{0};
  for (const TaskId id : ran) origin = std::min(origin, outcomes[id].started_ns);
  ChromeTrace trace;
  for (std::size_t i = 0; i < ran.size(); ++i) {
    const TaskOutcome& outcome = outcomes[ran[i]];
    const std::uint32_t worker = outcome.worker;
    if (i == 0 || outcomes[ran[i - 1]].worker != worker) {
      trace.name_track(1, worker, "worker " + std::to_string(worker));
    }
    const std::string args = "{\"task\":" + std::to_string(ran[i]) + ",\"status\":\"" +
                             std::string(to_string(outcome.status)) + "\"}";
    const std::uint64_t begin = outcome.started_ns - origin;
    const std::uint64_t end = outcome.finished_ns - origin;
    const std::string& name = plan.task(ran[i]).name;
    const TaskOutcome* next = i + 1 == ran.size() ? nullptr : &outcomes[ran[i + 1]];
    if (next == nullptr || next->worker != worker || next->started_ns >= outcome.finished_ns) {
      trace.span(1, worker, name, begin, end, args);
    } else {
      trace.async_span(1, ran[i], name, begin, end, args);
    }
  }
  return trace.whole();
}

}  // namespace aatgs
