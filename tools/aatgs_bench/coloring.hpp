// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Milliseconds of a whole coloring, of a sparse random graph and of a 2D mesh:
/// `task/coloring_..._resident`: `ColoringPipeline`.
/// `task/coloring_..._launches_...`: the same phases as launches of so many threads a block, the
/// host reading after each round what is left to color.
/// The host checks every coloring.
void measure_coloring(const Plan& plan, Report& report);

}  // namespace aatgs::bench
