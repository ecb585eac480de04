// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/make_context.cuh>
#include <aatgs/host/managed_gpu_context.hpp>

namespace aatgs {

/// A managed context whose step is `step`. In a .cu file. Throws `OptionError`, `DeviceError`.
template <class Config, class Telemetry, class Step>
ManagedGpuContext<Config, Telemetry> make_managed_context(const Step& step,
                                                          const ManagedOptions& options = {}) {
  return {make_context<Config, Telemetry>(step, context_options(options)), options};
}

}  // namespace aatgs
