// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Microseconds of one Jacobi iteration on n x n points in float32, groups `jacobi_<n>`. Roads:
/// `resident` is `PoissonJacobi`; `launch` a kernel launch per iteration; `graph` and `graph_pdl`
/// CUDA graphs of 100 of them, the second with programmatic dependent launch. Those are tuned to
/// their best block shapes for every n. All fields must be the same, bit for bit, and their
/// residual in float64 must have fallen.
void measure_jacobi(const Plan& plan, Report& report);

}  // namespace aatgs::bench
