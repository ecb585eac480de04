// SPDX-License-Identifier: Apache-2.0
// What WhcrSolver must do on every executor.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>

#include "../brief.hpp"

namespace aatgs::coloring::test {

inline WhcrOptions options_for(ExecutorKind executor, Scope scope, std::uint32_t colors) {
  WhcrOptions options;
  options.context.executor = executor;
  options.context.scope = scope;
  options.context.cpu_threads = 2;
  options.searches = aatgs::test::brief_or(2U, 0U);
  options.colors = colors;
  options.seed = 7;
  return options;
}

/// Repairs a random coloring and checks the result against the graph alone.
inline void check_repairs(const Graph& graph, const WhcrOptions& options) {
  const auto initial = random_coloring(graph.vertex_count(), options.colors, options.seed);
  WhcrSolver solver(graph, options);
  const WhcrResult result = solver.run(initial, {.time = std::chrono::seconds(60)});
  CHECK(result.conflicts_before == count_conflicts(graph, initial));
  CHECK(result.conflicts == 0);
  CHECK(verify_coloring(graph, result.colors, options.colors).legal());
  CHECK(result.total.moves > 0);
  const ExecutionStatistics& s = result.stats;
  CHECK(s.in_flight == 0);
  CHECK(s.submitted == s.completed);
}

/// Conflicts of each search after some slices; small rings, so that queueing has to wait.
inline std::vector<std::uint32_t> conflicts_after(const Graph& graph, WhcrOptions options,
                                                  std::uint64_t iterations) {
  options.context.config_slots = 4;
  options.context.telemetry_slots = 8;
  options.searches = options.context.scope == Scope::grid ? 1 : aatgs::test::brief_or(2U, 24U);
  options.slice = 5;
  const auto initial = random_coloring(graph.vertex_count(), options.colors, options.seed);
  WhcrSolver solver(graph, options);
  (void)solver.run(initial, {.iterations = iterations});
  return solver.conflicts_by_search();
}

}  // namespace aatgs::coloring::test
