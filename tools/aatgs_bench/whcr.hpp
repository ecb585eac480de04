// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// WHCR on one small graph with slices of one iteration, on the executors resident, launch and
/// graph: a portfolio of searches, and one search alone. Figures `whcr_GRAPH/EXECUTOR` and
/// `whcr_GRAPH_single/EXECUTOR`, in us per iteration: the time of a run over the iterations of all
/// its searches. The graph is DSJC125.5 from the plan's folder, or a generated one like it.
/// Throws `Error` if the executors do not make the same moves.
///
/// Also, on DSJC250.5, `whcr_hypertune_k29/fixed` and `whcr_hypertune_k29/hypertune`, in ms from a
/// random coloring to a legal one with 29 colors: default options without and with controllers, by
/// turns, from the same 20 seeds.
void measure_whcr(const Plan& plan, Report& report);

/// Time per iteration of `executor` over that of resident, of the portfolio or the single search.
std::optional<double> whcr_over_resident(const Report& report, const std::string& executor,
                                         bool single);

}  // namespace aatgs::bench
