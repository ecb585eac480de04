// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Microseconds of x = U^-1 L^-1 b with the ILU(0) factors of a 2D Poisson matrix of 1000 x 1000
/// points in float64, several such solves queued back to back, vectors on the GPU:
/// `sptrsv/resident`: `SparseTriangular`; `sptrsv/chunk_...`: the same with other chunks.
/// `sptrsv/cusparse...`: cuSPARSE's SpSV, analysed beforehand, by launches and as a graph.
/// The host compares all results with its own substitution. A build without the library only says
/// so.
void measure_sptrsv(const Plan& plan, Report& report);

}  // namespace aatgs::bench
