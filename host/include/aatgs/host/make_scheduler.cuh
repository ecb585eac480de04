// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/make_context.cuh>
#include <aatgs/host/make_cpu_scheduler.hpp>
#include <memory>
#include <utility>

namespace aatgs {

/// A scheduler in a resident kernel, or where `automatic` finds no GPU on CPU threads, which its
/// context's `reason()` then says. In a .cu file. Throws `OptionError`, `DeviceError`.
template <class... Step>
std::unique_ptr<TaskScheduler<Steps<Step...>>> make_scheduler(
    const Steps<Step...>& steps, const SchedulerOptions& options = {}) {
  using S = Steps<Step...>;
  ContextOptions context = detail::task_context_options(options);
  ExecutorChoice choice = choose_executor(options.context.executor, options.context.device);
  if (choice.kind != ExecutorKind::resident && choice.kind != ExecutorKind::cpu) {
    throw OptionError("a scheduler on executor '" + std::string(to_string(choice.kind)) +
                      "': its workers wait for each other, so give it resident, cpu or automatic");
  }
  context.executor = choice.kind;
  const bool on_gpu = choice.kind == ExecutorKind::resident;
  auto world = detail::make_task_world<S>(on_gpu ? MemoryKind::device : MemoryKind::host, options);
  const TaskGraphStep<S> step(steps, world->world());
  auto executors = on_gpu ? make_resident_executors<TaskGraphRun, TaskGraphSummary>(step, context)
                          : make_cpu_executors<TaskGraphRun, TaskGraphSummary>(step, context);
  return std::make_unique<TaskScheduler<S>>(
      GraphRunner::Context(std::move(executors), std::move(choice), context), std::move(world),
      options);
}

}  // namespace aatgs
