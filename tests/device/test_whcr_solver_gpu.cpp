// SPDX-License-Identifier: Apache-2.0
#include "../brief.hpp"
#include "../integrations/whcr_solver_suite.hpp"

namespace aatgs::coloring::test {

using aatgs::test::brief_or;

TEST_CASE("WHCR solver: a random coloring is not repaired on the GPU") {
  for (const auto executor : {ExecutorKind::resident, ExecutorKind::launch, ExecutorKind::graph,
                              ExecutorKind::triple_buffer}) {
    CAPTURE(to_string(executor));
    check_repairs(queen_graph(8), options_for(executor, Scope::block, 9));
    const std::uint32_t vertices = brief_or(500, 20000);
    check_repairs(gnp_graph(vertices, 10.0 / vertices, 1), options_for(executor, Scope::grid, 6));
  }
}

void check_same_moves(const Graph& graph, Scope scope, std::uint32_t colors) {
  CAPTURE(to_string(scope));
  const std::uint64_t iterations = brief_or(40, 100);
  const auto expected =
      conflicts_after(graph, options_for(ExecutorKind::cpu, scope, colors), iterations);
  for (const auto executor : {ExecutorKind::resident, ExecutorKind::launch, ExecutorKind::graph,
                              ExecutorKind::triple_buffer}) {
    CAPTURE(to_string(executor));
    CHECK(conflicts_after(graph, options_for(executor, scope, colors), iterations) == expected);
  }
}

TEST_CASE("WHCR solver: executors make different moves") {
  const Graph graph = gnp_graph(200, 0.5, 11);
  check_same_moves(graph, Scope::block, 26);
  check_same_moves(graph, Scope::grid, 26);
}

TEST_CASE("WHCR solver: executors make different moves where a search does not fit in scratch") {
  check_same_moves(gnp_graph(700, 0.4, 11), Scope::block, 30);  // 170 KB of tables
}

}  // namespace aatgs::coloring::test
