// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_cpu_context.hpp>

#include "load_run.hpp"

namespace aatgs {

Measurement run_load(const Load& load, const ContextOptions& options) {
  return run_load_on(load, options, [&](auto telemetry) {
    return make_cpu_context<LoadConfig, decltype(telemetry)>(LoadStep{}, options);
  });
}

}  // namespace aatgs
