// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/verifier.hpp>
#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "whcr_test_support.hpp"

using namespace aatgs;
using namespace aatgs::coloring;
using namespace aatgs::coloring::test;

namespace {

/// Everything that is derived from the coloring, counted anew.
void check_tables(const WhcrBench& bench) {
  const Graph& graph = bench.graph;
  const std::vector<Color> coloring = bench.coloring();
  std::vector<std::int32_t> gamma(bench.gamma().size());
  std::vector<std::int32_t> mean(bench.mean().size());
  const HaarField field{bench.hierarchy.parent().data(), bench.hierarchy.paired().data(),
                        mean.data()};
  for (Vertex v = 0; v < graph.vertex_count(); ++v) {
    const std::size_t row = std::size_t{v} * bench.step.problem.colors;
    for (const Vertex u : graph.neighbors(v)) ++gamma[row + coloring[u]];
    field.add(v, gamma[row + coloring[v]]);
  }
  CHECK(bench.gamma() == gamma);
  CHECK(bench.mean() == mean);
}

std::vector<Vertex> changed(const std::vector<Color>& before, const std::vector<Color>& after) {
  std::vector<Vertex> list;
  for (Vertex v = 0; v < before.size(); ++v) {
    if (before[v] != after[v]) list.push_back(v);
  }
  return list;
}

bool operator==(const WhcrState& a, const WhcrState& b) {
  return a.conflicts == b.conflicts && a.best_conflicts == b.best_conflicts && a.moves == b.moves &&
         a.worsening == b.worsening && a.iteration == b.iteration;
}

}  // namespace

TEST_CASE("tables or telemetry drift from the coloring") {
  for (const std::uint32_t threads : {1U, 3U}) {
    WhcrBench bench(gnp_graph(150, 0.3, 5), 9, 1);
    bench.threads = threads;
    std::int32_t fewest = INT32_MAX;
    for (const int iterations : {0, 1, 1, 2, 5, 50, 200}) {
      const KernelTelemetry telemetry = bench.run(iterations / 2, iterations - iterations / 2);
      const auto conflicts = static_cast<int>(count_conflicts(bench.graph, bench.coloring()));
      fewest = std::min(fewest, conflicts);
      CHECK(telemetry.conflicts == conflicts);
      CHECK(telemetry.free_energy <= static_cast<float>(fewest));
      CHECK(telemetry.padding[0] == static_cast<float>(iterations));
      check_tables(bench);
    }
  }
}

TEST_CASE("a slice of no iterations moves a vertex") {
  WhcrBench bench(gnp_graph(60, 0.3, 5), 5, 1);
  const auto before = bench.coloring();
  CHECK(bench.run(0, 0).moves_applied == 0);
  CHECK(bench.coloring() == before);
}

TEST_CASE("two neighbors move at once") {
  WhcrBench bench(gnp_graph(300, 0.05, 7), 4, 2);
  bench.config.exploration_rate = 1;  // as many movers as there can be
  int most = 0;
  for (int iteration = 0; iteration < 200; ++iteration) {
    const auto before = bench.coloring();
    const KernelTelemetry telemetry = bench.run(0, 1);
    const std::vector<Vertex> movers = changed(before, bench.coloring());
    CHECK(static_cast<int>(movers.size()) == telemetry.moves_applied);
    most = std::max(most, telemetry.moves_applied);
    int adjacent = 0;
    for (const Vertex u : movers) {
      for (const Vertex v : movers) adjacent += bench.graph.has_edge(u, v) ? 1 : 0;
    }
    CHECK(adjacent == 0);
  }
  CHECK(most > 10);
}

TEST_CASE("two neighbors with equal wishes move at once") {
  // Everyone wants the same color with the same gain; among so many some hashes are equal too.
  constexpr Vertex n = 1U << 19;
  std::vector<Edge> ring;
  for (Vertex v = 0; v < n; ++v) ring.push_back({v, (v + 1) % n});
  WhcrBench bench(Graph(n, ring), 2, 1);
  bench.set_coloring(std::vector<Color>(n, 0));
  bench.run(0, 1);
  const std::vector<Color> coloring = bench.coloring();
  const std::vector<std::uint64_t> wish = bench.wish();
  int adjacent = 0;
  int equal = 0;
  for (const Edge& edge : ring) {
    adjacent += coloring[edge.u] == 1 && coloring[edge.v] == 1 ? 1 : 0;
    equal += wish[edge.u] == wish[edge.v] ? 1 : 0;
  }
  CHECK(equal > 0);
  CHECK(adjacent == 0);
}

TEST_CASE("a move is made that is not the best of its vertex") {
  WhcrBench bench(gnp_graph(200, 0.1, 7), 6, 2);
  bench.run(0, 20);
  for (int iteration = 0; iteration < 200; ++iteration) {
    const auto before = bench.coloring();
    const auto gamma = bench.gamma();
    const auto barred = bench.barred();
    const WhcrState was = bench.state();
    bench.run(0, 1);
    const auto after = bench.coloring();
    for (const Vertex v : changed(before, after)) {
      const std::size_t row = std::size_t{v} * bench.step.problem.colors;
      const std::int32_t own = gamma[row + before[v]];
      const std::int32_t chosen = gamma[row + after[v]];
      CHECK(own > 0);  // who is not in conflict stays
      const auto allowed = [&](Color c) {
        const bool new_best = was.conflicts - (own - gamma[row + c]) < was.best_conflicts;
        return c != before[v] && (barred[row + c] <= was.iteration || new_best);
      };
      CHECK(allowed(after[v]));
      for (Color c = 0; c < bench.step.problem.colors; ++c) {
        if (allowed(c)) CHECK(chosen <= gamma[row + c]);
      }
    }
  }
}

TEST_CASE("a color left is not barred for as long as the config says") {
  for (const float persistence : {0.0F, 0.35F, 100.0F}) {
    WhcrBench bench(gnp_graph(100, 0.3, 7), 6, 2);
    bench.config.persistence_weight = persistence;
    std::set<std::uint32_t> tenures;
    for (int iteration = 0; iteration < 300; ++iteration) {
      const auto before = bench.coloring();
      const std::int32_t conflicts = bench.run(0, 0).conflicts;
      const std::uint32_t now = bench.state().iteration;
      bench.run(0, 1);
      const auto fixed = static_cast<std::uint32_t>(
          std::min(100.0F, persistence * 2 * static_cast<float>(conflicts)));
      const auto barred = bench.barred();
      for (const Vertex v : changed(before, bench.coloring())) {
        const std::uint32_t until = barred[v * std::size_t{6} + before[v]];
        CHECK(until >= now + 2 + fixed);
        CHECK(until < now + 2 + fixed + WhcrRules::tenure_spread);
        tenures.insert(until - now - 2 - fixed);
      }
    }
    CHECK(tenures.size() == WhcrRules::tenure_spread);
  }
}

TEST_CASE("no move relieves stress and the search stands still") {
  WhcrBench bench(queen_graph(8), 8, 3);  // has no legal coloring
  bench.config.exploration_rate = 0;
  bench.run(0, 500);
  for (int slice = 0; slice < 50; ++slice) {
    const KernelTelemetry telemetry = bench.run(0, 40);
    CHECK(telemetry.moves_applied >= 20);
    CHECK(telemetry.tunneling_events > 0);
    CHECK(telemetry.conflicts > 0);
  }
}

TEST_CASE("the moves depend on the number of threads") {
  WhcrBench one(gnp_graph(400, 0.05, 3), 7, 4);
  one.run(150, 150);
  for (const std::uint32_t threads : {2U, 3U, 4U}) {
    WhcrBench many(gnp_graph(400, 0.05, 3), 7, 4);
    many.threads = threads;
    many.run(150, 150);
    CHECK(many.coloring() == one.coloring());
    CHECK(many.barred() == one.barred());
    CHECK(many.state() == one.state());
  }
}

TEST_CASE("cutting a slice in two changes the moves") {
  WhcrBench whole(gnp_graph(200, 0.1, 3), 7, 4);
  WhcrBench cut(gnp_graph(200, 0.1, 3), 7, 4);
  whole.run(0, 70);
  whole.run(0, 50);
  for (int iteration = 0; iteration < 120; ++iteration) cut.run(0, 1);
  CHECK(cut.coloring() == whole.coloring());
  CHECK(cut.state().best_conflicts == whole.state().best_conflicts);
}

TEST_CASE("searches of one problem get in each other's way") {
  constexpr std::uint32_t searches = 3;
  const Graph graph = gnp_graph(100, 0.2, 3);
  WhcrBench together(graph, 7, 40, searches);
  for (int slice = 0; slice < 4 * static_cast<int>(searches); ++slice) {
    together.config.iteration = slice;
    CHECK(together.run(5, 5).best_replica == slice % static_cast<int>(searches));
  }
  for (std::uint32_t s = 0; s < searches; ++s) {
    WhcrBench alone(graph, 7, 40 + s);
    for (int slice = 0; slice < 4; ++slice) alone.run(5, 5);
    CHECK(together.coloring(s) == alone.coloring());
    CHECK(together.state(s) == alone.state());
  }
}

TEST_CASE("work in scratch makes other moves, or loses what it changed") {
  constexpr std::uint32_t searches = 2;
  for (const Vertex n : {1U, 101U, 102U, 103U}) {  // tables end anywhere in their last 16 bytes
    const Graph graph = gnp_graph(n, 0.3, 3);
    WhcrBench in_place(graph, 7, 40, searches);
    WhcrBench copied(graph, 7, 40, searches);
    copied.step.problem.in_scratch = true;
    for (int slice = 0; slice < 60; ++slice) {
      in_place.config.iteration = copied.config.iteration = slice;
      const KernelTelemetry expected = in_place.run(slice % 3, 2);
      const KernelTelemetry telemetry = copied.run(slice % 3, 2);
      CHECK(telemetry.moves_applied == expected.moves_applied);
      CHECK(telemetry.best_replica == expected.best_replica);
    }
    for (std::uint32_t s = 0; s < searches; ++s) {
      CHECK(copied.coloring(s) == in_place.coloring(s));
      CHECK(copied.state(s) == in_place.state(s));
    }
    CHECK(copied.barred() == in_place.barred());
    check_tables(copied);
  }
}

TEST_CASE("another seed makes the same moves") {
  WhcrBench a(gnp_graph(100, 0.2, 3), 7, 1);
  WhcrBench b(gnp_graph(100, 0.2, 3), 7, 2);
  b.set_coloring(a.coloring());
  a.run(0, 50);
  b.run(0, 50);
  CHECK(a.coloring() != b.coloring());
}

TEST_CASE("details of the conflict field have no say, or too much") {
  WhcrBench with(gnp_graph(200, 0.2, 3), 9, 1);
  WhcrBench without(gnp_graph(200, 0.2, 3), 9, 1);
  WhcrBench coarse(gnp_graph(200, 0.2, 3), 9, 1);
  WhcrBench mild(gnp_graph(200, 0.2, 3), 9, 1);
  without.config.belief_weight = 0;
  mild.config.hotspot_multiplier = 1;
  with.run(0, 40);
  without.run(0, 40);
  coarse.run(40, 0);
  mild.run(40, 0);
  CHECK(with.coloring() != without.coloring());
  CHECK(with.coloring() != coarse.coloring());
  CHECK(mild.coloring() != coarse.coloring());

  RuntimeConfig config = RuntimeConfig::production();
  const WhcrRules rules(config);
  CHECK(rules.belief(1000, true, 1) - rules.belief(-1000, true, 1) < WhcrWish::gain_unit / 2);
  config.stress_weight = 0;
  CHECK(WhcrRules(config).belief(1000, true, 1) < WhcrWish::gain_unit / 4);
}

TEST_CASE("a slice goes on past a legal coloring") {
  WhcrBench bench(gnp_graph(200, 0.1, 3), 12, 4);
  const KernelTelemetry telemetry = bench.run(500, 500);
  CHECK(telemetry.conflicts == 0);
  CHECK(telemetry.padding[0] < 1000);
  CHECK(verify_coloring(bench.graph, bench.coloring(), 12).legal());
  const auto legal = bench.coloring();
  const KernelTelemetry again = bench.run(500, 500);
  CHECK(again.moves_applied == 0);
  CHECK(again.padding[0] == 0);
  CHECK(bench.coloring() == legal);
}

TEST_CASE("random colorings are not repaired") {
  const auto repaired = [](const Graph& graph, std::uint32_t k, std::uint32_t threads) {
    WhcrBench bench(graph, k, 11);
    bench.threads = threads;
    for (int slice = 0; slice < 200 && bench.run(100, 100).conflicts > 0; ++slice) {
    }
    return verify_coloring(graph, bench.coloring(), k).legal();
  };
  CHECK(repaired(queen_graph(8), 9, 1));
  CHECK(repaired(mycielski_graph(6), 7, 1));
  CHECK(repaired(gnp_graph(125, 0.5, 1), 19, 1));
  CHECK(repaired(gnp_graph(5000, 10.0 / 5000, 1), 6, 2));
}

TEST_CASE("small or odd problems hang or reach outside") {
  const auto run = [](const Graph& graph, std::uint32_t k) {
    WhcrBench bench(graph, k, 1);
    return bench.run(10, 10).conflicts;
  };
  const Edge edge{0, 1};
  CHECK(run(Graph(1, {}), 1) == 0);
  CHECK(run(Graph(5, {}), 3) == 0);
  CHECK(run(Graph(2, std::span(&edge, 1)), 1) == 1);  // nowhere to go
  CHECK(run(Graph(2, std::span(&edge, 1)), 2) == 0);
}
