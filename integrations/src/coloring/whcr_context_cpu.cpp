// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_cpu_managed_context.hpp>
#include <aatgs/integrations/coloring/whcr_step.hpp>

#include "whcr_context.hpp"

namespace aatgs::coloring {

ManagedWhcr make_whcr_context(WhcrProblem problem, const ContextOptions& options) {
  return make_cpu_managed_context<RuntimeConfig, KernelTelemetry>(WhcrStep{problem},
                                                                  {.context = options});
}

}  // namespace aatgs::coloring
