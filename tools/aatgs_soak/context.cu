// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_context.cuh>
#include <aatgs/host/make_scheduler.cuh>

#include "context.hpp"
#include "task_steps.hpp"

namespace aatgs::soak {

SoakContext make_soak_context(const SoakStep& step, const ContextOptions& options) {
  return make_context<SoakConfig, SoakTelemetry>(step, options);
}

std::unique_ptr<TaskSoakScheduler> make_soak_scheduler(const TaskSoakSteps& steps,
                                                       const SchedulerOptions& options) {
  return make_scheduler(steps, options);
}

}  // namespace aatgs::soak
