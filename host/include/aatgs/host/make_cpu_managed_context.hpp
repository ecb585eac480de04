// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/managed_gpu_context.hpp>

namespace aatgs {

/// A managed context on host threads, for code without nvcc: `options.host_threads` is set, or
/// the executor one of the host's, or all of it left open. Throws `OptionError`.
template <class Config, class Telemetry, class Step>
ManagedGpuContext<Config, Telemetry> make_cpu_managed_context(const Step& step,
                                                              const ManagedOptions& options = {}) {
  return {make_cpu_context<Config, Telemetry>(step, context_options(options)), options};
}

}  // namespace aatgs
