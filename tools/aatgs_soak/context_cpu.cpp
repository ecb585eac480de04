// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_cpu_context.hpp>

#include "context.hpp"

namespace aatgs::soak {

SoakContext make_soak_context(const SoakStep& step, const ContextOptions& options) {
  return make_cpu_context<SoakConfig, SoakTelemetry>(step, options);
}

}  // namespace aatgs::soak
