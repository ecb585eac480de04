// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/dimacs.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "graph_test_support.hpp"

using namespace aatgs::coloring;
using namespace aatgs::coloring::test;

namespace {

/// FNV-1a over the edges: one number that changes with any of them.
std::uint64_t fingerprint(const Graph& graph) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto mix = [&](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3U; };
  for (const Edge& edge : graph.edges()) {
    mix(edge.u);
    mix(edge.v);
  }
  return hash;
}

}  // namespace

TEST_CASE("a queen graph misses a move or has one too many") {
  for (const std::size_t side : {1U, 2U, 3U, 5U, 8U}) {
    std::vector<Edge> moves;
    const int n = static_cast<int>(side);
    for (int a = 0; a < n * n; ++a) {
      for (int b = a + 1; b < n * n; ++b) {
        const int rows = b / n - a / n;
        const int columns = std::abs(b % n - a % n);
        if (rows == 0 || columns == 0 || rows == columns) {
          moves.push_back({static_cast<Vertex>(a), static_cast<Vertex>(b)});
        }
      }
    }
    CAPTURE(side);
    CHECK(queen_graph(side) == Graph(side * side, moves));
    CHECK(queen_graph(side).edge_count() == side * (side - 1) * (5 * side - 1) / 3);
  }
}

TEST_CASE("a Mycielski graph has the wrong size, numbering or a triangle") {
  CHECK(mycielski_graph(1).edges() == std::vector<Edge>{{0, 1}});
  CHECK(mycielski_graph(2).edges() ==
        std::vector<Edge>{{0, 1}, {0, 3}, {1, 2}, {2, 4}, {3, 4}});  // the 5-cycle
  CHECK(mycielski_graph(3).vertex_count() == 11);
  CHECK(mycielski_graph(3).edge_count() == 20);
  const Graph graph = mycielski_graph(6);
  CHECK(graph.vertex_count() == 95);
  CHECK(graph.edge_count() == 755);
  for (const Edge& edge : graph.edges()) {
    for (Vertex w = 0; w < graph.vertex_count(); ++w) {
      CHECK_FALSE((graph.has_edge(edge.u, w) && graph.has_edge(edge.v, w)));
    }
  }
}

TEST_CASE("queen graphs differ from the DIMACS ones" * doctest::skip(dimacs_dir() == nullptr)) {
  for (std::size_t side = 8; side <= 13; ++side) {
    const std::string n = std::to_string(side);
    CAPTURE(side);
    CHECK(queen_graph(side) ==
          read_dimacs(fs::path(dimacs_dir()) / ("queen" + n + "_" + n + ".col")).graph);
  }
}

TEST_CASE("Mycielski graphs differ from the DIMACS ones" * doctest::skip(dimacs_dir() == nullptr)) {
  for (std::size_t order = 3; order <= 7; ++order) {
    CAPTURE(order);
    CHECK(mycielski_graph(order) ==
          read_dimacs(fs::path(dimacs_dir()) / ("myciel" + std::to_string(order) + ".col")).graph);
  }
}

TEST_CASE("G(n, p) at the ends of p is not empty or not complete") {
  CHECK(gnp_graph(50, 0.0, 1) == Graph(50, {}));
  CHECK(gnp_graph(50, 1.0, 1).edge_count() == 50 * 49 / 2);
  CHECK(gnp_graph(1, 1.0, 1) == Graph(1, {}));
  CHECK(gnp_graph(1000, 1e-300, 1).edge_count() == 0);
  CHECK(gnp_graph(1000, std::numeric_limits<double>::denorm_min(), 1).edge_count() == 0);
  CHECK(gnp_graph(60, 1.0 - 0x1p-53, 1).edge_count() == 60 * 59 / 2);
}

TEST_CASE("G(n, p) skips some pairs always, or takes some too often") {
  // 2000 graphs: each pair is there 600 times, with standard deviation sqrt(2000 * 0.3 * 0.7).
  constexpr Vertex n = 12;
  constexpr int graphs = 2000;
  std::vector<int> times(n * n, 0);
  for (int seed = 0; seed < graphs; ++seed) {
    for (const Edge& edge : gnp_graph(n, 0.3, static_cast<std::uint64_t>(seed)).edges()) {
      ++times[edge.u * n + edge.v];
    }
  }
  const double deviation = std::sqrt(graphs * 0.3 * 0.7);
  for (Vertex u = 0; u < n; ++u) {
    for (Vertex v = u + 1; v < n; ++v) {
      CAPTURE(u);
      CAPTURE(v);
      CHECK(std::abs(times[u * n + v] - graphs * 0.3) < 5 * deviation);
    }
  }
}

TEST_CASE("a large sparse G(n, p) has the wrong density or overflows its pairs") {
  constexpr std::size_t n = 200000;
  const Graph graph = gnp_graph(n, 10.0 / n, 7);
  const double expected = 10.0 * (n - 1) / 2;
  CHECK(graph.vertex_count() == n);
  CHECK(std::abs(static_cast<double>(graph.edge_count()) - expected) < 5 * std::sqrt(expected));
  // The halves differ as a triangle's do: 1/4 of the pairs have both ends in the first half.
  const auto edges = graph.edges();
  const auto low = static_cast<double>(
      std::ranges::count_if(edges, [](const Edge& edge) { return edge.v < n / 2; }));
  CHECK(std::abs(low - expected / 4) < 5 * std::sqrt(expected / 4));
}

TEST_CASE("a seed gives another graph or coloring than yesterday or elsewhere") {
  CHECK(gnp_graph(500, 0.5, 1) == gnp_graph(500, 0.5, 1));
  CHECK(gnp_graph(500, 0.5, 1) != gnp_graph(500, 0.5, 2));
  CHECK(gnp_graph(500, 0.5, 1).edge_count() == 62403);
  CHECK(fingerprint(gnp_graph(500, 0.5, 1)) == 831839254581021394U);
  CHECK(fingerprint(gnp_graph(100000, 1e-4, 42)) == 13950773447538980757U);
  CHECK(random_coloring(8, 18, 1) == std::vector<Color>{2, 2, 8, 0, 6, 16, 8, 1});
}

TEST_CASE("a random coloring leaves its colors out or goes outside them") {
  const auto colors = random_coloring(18000, 18, 3);
  CHECK(colors.size() == 18000);
  CHECK(colors != random_coloring(18000, 18, 4));
  std::vector<int> times(18, 0);
  for (const Color color : colors) {
    REQUIRE(color < 18);
    ++times[color];
  }
  for (const int count : times) CHECK(std::abs(count - 1000) < 160);
  CHECK(random_coloring(5, 1, 9) == std::vector<Color>(5, 0));
  CHECK(random_coloring(0, 3, 9).empty());
}

TEST_CASE("a size that cannot work is taken, or its error does not say the limit") {
  using aatgs::OptionError;
  CHECK_THROWS_WITH_AS(queen_graph(0), "the side of a queen graph's board must be in 1..256, not 0",
                       OptionError);
  CHECK_THROWS_AS(queen_graph(257), OptionError);
  CHECK_THROWS_WITH_AS(mycielski_graph(16),
                       "the order of a Mycielski graph must be in 1..15, not 16", OptionError);
  CHECK_THROWS_AS(mycielski_graph(0), OptionError);
  CHECK_THROWS_WITH_AS(gnp_graph(0, 0.5, 1), "n of G(n, p) must be in 1..67108864, not 0",
                       OptionError);
  CHECK_THROWS_WITH_AS(gnp_graph(10, 1.5, 1), "p of G(n, p) must be in 0..1, not 1.5", OptionError);
  CHECK_THROWS_AS(gnp_graph(10, -1e-9, 1), OptionError);
  CHECK_THROWS_AS(gnp_graph(10, std::nan(""), 1), OptionError);
  CHECK_THROWS_WITH_AS(gnp_graph(max_vertices, 0.5, 1),
                       "G(67108864, 0.5) has about 1125899890065408 edges; the limit is 536870912",
                       OptionError);
  CHECK_THROWS_WITH_AS(random_coloring(3, 0, 1),
                       "the number of colors must be in 1..4294967295, not 0", OptionError);
  CHECK_THROWS_AS(random_coloring(3, std::uint64_t{1} << 32, 1), OptionError);
}
