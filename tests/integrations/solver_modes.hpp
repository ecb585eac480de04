// SPDX-License-Identifier: Apache-2.0
// Solvers whose step mode is changed by one option.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/host/managed_options.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <aatgs/integrations/linear/cg_solver.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <vector>

namespace aatgs::test {

/// The same searches, seed by seed.
inline void check_same_colorings(const std::vector<ManagedOptions>& modes, Scope scope) {
  const coloring::Graph graph = coloring::gnp_graph(200, 0.5, 11);
  const auto initial = coloring::random_coloring(graph.vertex_count(), 26, 7);
  std::vector<coloring::Color> colors;
  std::vector<std::uint32_t> conflicts;
  for (const ManagedOptions& mode : modes) {
    CAPTURE(to_string(mode.step_mode.value()));
    coloring::WhcrOptions options;
    options.context = context_options(mode);
    options.context.scope = scope;
    options.context.config_slots = 4;  // so that queueing has to wait
    options.context.telemetry_slots = 8;
    options.searches = scope == Scope::grid ? 1 : 8;
    options.slice = 5;
    options.colors = 26;
    options.seed = 7;
    coloring::WhcrSolver solver(graph, options);
    const auto result = solver.run(initial, {.iterations = 40});
    CHECK(result.stats.in_flight == 0);
    if (colors.empty()) {
      colors = result.colors;
      conflicts = solver.conflicts_by_search();
      CHECK(result.conflicts < result.conflicts_before);
    }
    CHECK(result.colors == colors);
    CHECK(solver.conflicts_by_search() == conflicts);
  }
}

/// The same residuals, bit by bit, on as many blocks.
inline void check_same_residuals(const std::vector<ManagedOptions>& modes) {
  const linear::CsrMatrix matrix = linear::poisson_2d(23, 17);
  std::vector<double> b(matrix.row_count());
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = 1.0 / (1.0 + static_cast<double>(i % 7));
  std::vector<linear::CgResult> results;
  for (const ManagedOptions& mode : modes) {
    CAPTURE(to_string(mode.step_mode.value()));
    linear::CgOptions options;
    options.context = context_options(mode);
    options.context.workers = 3;
    options.context.cpu_threads = 3;
    options.slice = 7;
    results.push_back(linear::CgSolver(matrix, options).solve(b));
    CHECK(results.back().outcome == linear::CgOutcome::converged);
    CHECK(results.back().iterations == results.front().iterations);
    CHECK(results.back().relative_residual == results.front().relative_residual);
    CHECK(results.back().recurrence_residual == results.front().recurrence_residual);
    CHECK(results.back().x == results.front().x);
  }
}

}  // namespace aatgs::test
