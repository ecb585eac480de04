// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Microseconds of one iteration of conjugate gradients, for each matrix a group:
/// `cg_small`: fits in the GPU's cache; `cg_large`, `cg_mesh`: do not; `cg_tiny`: next to no work.
/// Roads: `resident` is `CgSolver`; `library_...` cuSPARSE and cuBLAS; `fused_...` cuSPARSE and
/// vector kernels by hand. All run as many iterations as a relative residual of 1e-8 takes, and the
/// host checks the residual of what they come to in float64. A build without the libraries only
/// says so.
void measure_cg(const Plan& plan, Report& report);

}  // namespace aatgs::bench
