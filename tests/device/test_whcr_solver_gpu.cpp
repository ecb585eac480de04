// SPDX-License-Identifier: Apache-2.0
#include "../integrations/whcr_solver_suite.hpp"

namespace aatgs::coloring::test {

TEST_CASE("WHCR solver: a random coloring is not repaired on the GPU") {
  for (const auto executor : {ExecutorKind::resident, ExecutorKind::launch, ExecutorKind::graph}) {
    CAPTURE(to_string(executor));
    check_repairs(queen_graph(8), options_for(executor, Scope::block, 9));
    check_repairs(gnp_graph(20000, 10.0 / 20000, 1), options_for(executor, Scope::grid, 6));
  }
}

TEST_CASE("WHCR solver: executors make different moves") {
  const Graph graph = gnp_graph(200, 0.5, 11);
  for (const Scope scope : {Scope::block, Scope::grid}) {
    CAPTURE(to_string(scope));
    const auto expected = conflicts_after(graph, options_for(ExecutorKind::cpu, scope, 26), 100);
    for (const auto executor :
         {ExecutorKind::resident, ExecutorKind::launch, ExecutorKind::graph}) {
      CAPTURE(to_string(executor));
      CHECK(conflicts_after(graph, options_for(executor, scope, 26), 100) == expected);
    }
  }
}

}  // namespace aatgs::coloring::test
