// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/managed_gpu_context.hpp>
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <aatgs/runtime/kernel_telemetry.hpp>
#include <aatgs/runtime/runtime_config.hpp>

namespace aatgs::coloring {

using ManagedWhcr = ManagedGpuContext<RuntimeConfig, KernelTelemetry>;
using WhcrContext = ManagedWhcr::Context;

/// A context whose step is a `WhcrStep` on `problem`; it chooses `in_scratch` by what the GPU has.
/// A build without CUDA has a version that makes executors on host threads only.
ManagedWhcr make_whcr_context(WhcrProblem problem, const ContextOptions& options);

}  // namespace aatgs::coloring
