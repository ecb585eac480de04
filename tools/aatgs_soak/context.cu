// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_context.cuh>

#include "context.hpp"

namespace aatgs::soak {

SoakContext make_soak_context(const SoakStep& step, const ContextOptions& options) {
  return make_context<SoakConfig, SoakTelemetry>(step, options);
}

}  // namespace aatgs::soak
