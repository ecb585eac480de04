// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/task_plan.hpp>
#include <span>
#include <string>

namespace aatgs {

/// A run of a graph as a trace in Chrome's JSON format, for Perfetto or chrome://tracing: a track
/// for each worker with what it ran, one after the other. Tasks that overlap others of their worker
/// (a wide one, or one that another stood for) are shown beside the tracks, as asynchronous spans;
/// tasks that did not run are left out. Times are microseconds since the first task's start.
std::string to_chrome_trace(const TaskPlan& plan, std::span<const TaskOutcome> outcomes);

}  // namespace aatgs
