// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <functional>

#include "step.hpp"

namespace aatgs::soak {

using SoakContext = GpuExecutionContext<SoakConfig, SoakTelemetry>;

/// How contexts are made; tests put in faulty ones.
using ContextMaker = std::function<SoakContext(const SoakStep&, const ContextOptions&)>;

SoakContext make_soak_context(const SoakStep& step, const ContextOptions& options);

}  // namespace aatgs::soak
