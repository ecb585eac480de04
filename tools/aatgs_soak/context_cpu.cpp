// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/make_cpu_scheduler.hpp>

#include "context.hpp"
#include "task_steps.hpp"

namespace aatgs::soak {

SoakContext make_soak_context(const SoakStep& step, const ContextOptions& options) {
  return make_cpu_context<SoakConfig, SoakTelemetry>(step, options);
}

std::unique_ptr<TaskSoakScheduler> make_soak_scheduler(const TaskSoakSteps& steps,
                                                       const SchedulerOptions& options) {
  return make_cpu_scheduler(steps, options);
}

}  // namespace aatgs::soak
