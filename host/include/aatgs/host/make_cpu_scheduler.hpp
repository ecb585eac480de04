// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_graph_step.hpp>
#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/task_scheduler.hpp>
#include <memory>
#include <string>
#include <utility>

namespace aatgs {

namespace detail {

template <class S>
std::unique_ptr<TaskWorldMemory> make_task_world(MemoryKind kind, const SchedulerOptions& options) {
  return std::make_unique<TaskWorldMemory>(
      kind, TaskWorldMemory::Sizes{options.most_tasks, options.spawn_slots, S::config_pieces},
      static_cast<std::uint64_t>(options.context.step_deadline.count()), options.rules,
      options.context.device);
}

/// The options of a scheduler's context, checked.
inline ContextOptions task_context_options(const SchedulerOptions& options) {
  ContextOptions context = options.context;
  context.scope = Scope::grid;
  check_options(context);
  if (context.telemetry_policy != TelemetryPolicy::block) {
    throw OptionError("a scheduler needs the report of every run: leave telemetry_policy at block");
  }
  const std::uint32_t claimed = options.rules.most_claimed;
  if (claimed < 1 || claimed > TaskWorkerMemory::most_claimed) {
    throw OptionError("rules.most_claimed = " + std::to_string(claimed) + ": give it 1 to " +
                      std::to_string(TaskWorkerMemory::most_claimed));
  }
  return context;
}

}  // namespace detail

/// A scheduler on CPU threads, for code without nvcc. The executor in the options must be cpu or
/// automatic. Throws `OptionError`.
template <class... Step>
std::unique_ptr<TaskScheduler<Steps<Step...>>> make_cpu_scheduler(
    const Steps<Step...>& steps, const SchedulerOptions& options = {}) {
  using S = Steps<Step...>;
  const ContextOptions context = detail::task_context_options(options);
  auto world = detail::make_task_world<S>(MemoryKind::host, options);
  const TaskGraphStep<S> step(steps, world->world());
  return std::make_unique<TaskScheduler<S>>(
      make_cpu_context<TaskGraphRun, TaskGraphSummary>(step, context), std::move(world), options);
}

}  // namespace aatgs
