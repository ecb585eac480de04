// SPDX-License-Identifier: Apache-2.0
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <set>
#include <stdexcept>

#include "whcr_solver_suite.hpp"

namespace aatgs::coloring::test {

TEST_CASE("WHCR solver: a random coloring is not repaired on the CPU") {
  check_repairs(queen_graph(8), options_for(ExecutorKind::cpu, Scope::block, 9));
  check_repairs(mycielski_graph(5), options_for(ExecutorKind::cpu, Scope::block, 6));
  check_repairs(gnp_graph(3000, 10.0 / 3000, 1), options_for(ExecutorKind::cpu, Scope::grid, 6));
}

TEST_CASE("WHCR solver: a time limit is not kept, or its result is not what the graph says") {
  const Graph graph = mycielski_graph(4);  // needs 5 colors
  const WhcrOptions options = options_for(ExecutorKind::cpu, Scope::block, 3);
  WhcrSolver solver(graph, options);
  const auto initial = random_coloring(graph.vertex_count(), 3, 1);
  const WhcrResult result = solver.run(initial, {.time = std::chrono::milliseconds(50)});
  CHECK(result.conflicts > 0);
  CHECK(result.conflicts == count_conflicts(graph, result.colors));
}

TEST_CASE("WHCR solver: the longest time limit is over at once") {
  const Graph graph = mycielski_graph(4);
  WhcrSolver solver(graph, options_for(ExecutorKind::cpu, Scope::block, 3));
  const auto initial = random_coloring(graph.vertex_count(), 3, 1);
  constexpr auto forever = std::chrono::nanoseconds::max();
  const WhcrResult result = solver.run(initial, {.time = forever, .iterations = 1000});
  CHECK(result.total.iterations == 1000 * solver.searches());
}

TEST_CASE("WHCR solver: slices that an exception has left count in the next run, or write to it") {
  const Graph graph = gnp_graph(200, 0.5, 1);
  const auto initial = random_coloring(graph.vertex_count(), 20, 1);  // needs more colors
  const auto give_up = [](const WhcrSlice&) { throw std::runtime_error("enough"); };
  for (const Scope scope : {Scope::block, Scope::grid}) {
    CAPTURE(to_string(scope));
    WhcrOptions options = options_for(ExecutorKind::cpu, scope, 20);
    options.searches = 6;
    options.slice = 100;
    WhcrSolver fresh(graph, options);
    const WhcrResult expected = fresh.run(initial, {.iterations = 300});
    WhcrSolver solver(graph, options);
    for (int i = 0; i < 3; ++i) {
      CHECK_THROWS_AS((void)solver.run(initial, {}, {}, give_up), std::runtime_error);
      const WhcrResult again = solver.run(initial, {.iterations = 300});
      CHECK(again.colors == expected.colors);
      CHECK(again.total.iterations == expected.total.iterations);
      CHECK(again.stats.submitted == expected.stats.submitted);
      CHECK(solver.conflicts_by_search() == fresh.conflicts_by_search());
    }
  }
}

TEST_CASE("WHCR solver: a second run starts from where the first one stopped") {
  const Graph graph = queen_graph(7);
  WhcrSolver solver(graph, options_for(ExecutorKind::cpu, Scope::block, 8));
  const auto initial = random_coloring(graph.vertex_count(), 8, 3);
  (void)solver.run(initial, {.iterations = 1});
  const auto first = solver.conflicts_by_search();
  (void)solver.run(initial, {.iterations = 1});
  CHECK(solver.conflicts_by_search() == first);
}

TEST_CASE("WHCR solver: a slice is not told, or told as another") {
  const Graph graph = queen_graph(6);
  WhcrOptions options = options_for(ExecutorKind::cpu, Scope::block, 7);
  options.searches = 3;
  options.slice = 5;
  WhcrSolver solver(graph, options);
  WhcrProgress sum;
  std::vector<std::uint32_t> conflicts(3);
  std::set<std::uint64_t> tickets;
  const auto initial = random_coloring(graph.vertex_count(), 7, 1);
  const WhcrResult result =
      solver.run(initial, {.iterations = 100}, {}, [&](const WhcrSlice& slice) {
        sum.iterations += slice.iterations;
        sum.moves += slice.moves;
        conflicts.at(slice.search) = slice.conflicts;
        CHECK(tickets.insert(slice.ticket).second);
        CHECK(slice.duration_ns > 0);
      });
  CHECK(sum.iterations == result.total.iterations);
  CHECK(sum.moves == result.total.moves);
  CHECK(tickets.size() == result.stats.completed);
  CHECK(conflicts == solver.conflicts_by_search());
}

TEST_CASE("WHCR solver: the size of all tables wraps to a small one") {
  const Graph graph(1U << 20, {});
  WhcrOptions options = options_for(ExecutorKind::cpu, Scope::block, WhcrProblem::max_colors);
  options.searches = 1U << 25;  // of 2^39 bytes
  CHECK_THROWS_AS(WhcrSolver(graph, options), OptionError);
}

TEST_CASE("WHCR solver: bad input is taken") {
  const Graph graph = queen_graph(5);
  CHECK_THROWS_AS(WhcrSolver(graph, options_for(ExecutorKind::cpu, Scope::block, 0)), OptionError);
  WhcrOptions odd_ring = options_for(ExecutorKind::cpu, Scope::block, 5);
  odd_ring.context.config_slots = 3;
  CHECK_THROWS_AS(WhcrSolver(graph, odd_ring), OptionError);
  WhcrOptions lossy = options_for(ExecutorKind::cpu, Scope::block, 5);
  lossy.context.telemetry_policy = TelemetryPolicy::drop_newest;
  CHECK_THROWS_WITH_AS(WhcrSolver(graph, lossy),
                       "telemetry_policy = drop_newest for a solver, which needs every completion: "
                       "leave it at TelemetryPolicy::block",
                       OptionError);
  WhcrSolver solver(graph, options_for(ExecutorKind::cpu, Scope::block, 5));
  CHECK_THROWS_AS((void)solver.run(std::vector<Color>(24, 0), {}), UseError);  // one vertex short
  CHECK_THROWS_AS((void)solver.run(std::vector<Color>(25, 5), {}), UseError);  // color 5 of 0..4
}

}  // namespace aatgs::coloring::test
