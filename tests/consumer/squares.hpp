// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>

using Squares = aatgs::GpuExecutionContext<int, int>;

/// Squares its configs, on the GPU if there is one.
Squares make_squares();
