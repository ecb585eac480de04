// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <algorithm>
#include <numeric>
#include <vector>

using namespace aatgs::coloring;

namespace {

std::vector<Vertex> row(const Graph& graph, Vertex v) {
  const auto neighbors = graph.neighbors(v);
  return {neighbors.begin(), neighbors.end()};
}

using Row = std::vector<Vertex>;

}  // namespace

TEST_CASE("an edge listed again, from either end, is counted twice") {
  const Graph graph(4, std::vector<Edge>{{2, 0}, {0, 2}, {2, 0}, {1, 2}, {2, 1}});
  CHECK(graph.edge_count() == 2);
  CHECK(row(graph, 0) == Row{2});
  CHECK(row(graph, 1) == Row{2});
  CHECK(row(graph, 2) == Row{0, 1});
  CHECK(row(graph, 3).empty());
  CHECK(graph == Graph(4, std::vector<Edge>{{1, 2}, {0, 2}}));
}

TEST_CASE("the rows of a graph are unsorted, one-sided or overlap") {
  constexpr Vertex n = 60;
  std::vector<Edge> edges;
  for (Vertex u = 0; u < n; ++u) {
    for (Vertex v = 0; v < n; ++v) {
      if (u != v && (u * v + u + v) % 3 == 0) edges.push_back({v, u});
    }
  }
  std::rotate(edges.begin(), edges.begin() + 417, edges.end());
  const Graph graph(n, edges);
  REQUIRE(graph.offsets().size() == n + 1);
  CHECK(graph.offsets().front() == 0);
  CHECK(graph.offsets().back() == graph.neighbors().size());
  std::size_t found = 0;
  for (Vertex u = 0; u < n; ++u) {
    const Row neighbors = row(graph, u);
    CHECK(std::adjacent_find(neighbors.begin(), neighbors.end(), std::greater_equal<>()) ==
          neighbors.end());
    for (const Vertex v : neighbors) {
      CHECK((u != v && (u * v + u + v) % 3 == 0));
      CHECK(std::ranges::binary_search(graph.neighbors(v), u));
      ++found;
    }
    CHECK(graph.degree(u) == neighbors.size());
  }
  CHECK(found == edges.size());  // both directions were listed
  CHECK(graph.edge_count() == found / 2);
}

TEST_CASE("edges() loses an edge, doubles it or turns it round") {
  const std::vector<Edge> sorted{{0, 1}, {0, 4}, {1, 2}, {2, 4}, {3, 4}};
  std::vector<Edge> turned;
  for (const Edge& edge : sorted) turned.insert(turned.begin(), {edge.v, edge.u});
  CHECK(Graph(5, turned).edges() == sorted);
}

TEST_CASE("a self-loop gets into a graph, where no coloring would ever be legal") {
  CHECK_THROWS_WITH_AS(Graph(4, std::vector<Edge>{{0, 1}, {3, 3}}),
                       "vertex 3 has an edge to itself: no coloring is legal, remove the edge",
                       aatgs::InputError);
}

TEST_CASE("an edge to a vertex that does not exist is written past the arrays") {
  CHECK_THROWS_WITH_AS(Graph(4, std::vector<Edge>{{0, 4}}),
                       "edge 0-4 leaves the graph, whose vertices are 0..3", aatgs::InputError);
  CHECK_THROWS_AS(Graph(4, std::vector<Edge>{{4, 0}}), aatgs::InputError);
}

TEST_CASE("a vertex count over the limit allocates all memory") {
  CHECK_THROWS_WITH_AS(Graph(max_vertices + 1, {}),
                       "a graph of 67108865 vertices is over the limit of 67108864",
                       aatgs::InputError);
}

TEST_CASE("a graph without vertices or edges reads outside its arrays") {
  const Graph none;
  CHECK(none.vertex_count() == 0);
  CHECK(none.edge_count() == 0);
  CHECK(none.max_degree() == 0);
  CHECK(none.edges().empty());
  CHECK(none == Graph(0, {}));
  const Graph isolated(3, {});
  CHECK(isolated.vertex_count() == 3);
  CHECK(row(isolated, 2).empty());
  CHECK(isolated != none);
}

TEST_CASE("has_edge or max_degree errs, also for what is no vertex") {
  const Graph star(5, std::vector<Edge>{{0, 1}, {0, 2}, {0, 3}});
  CHECK(star.max_degree() == 3);
  CHECK(star.has_edge(0, 3));
  CHECK(star.has_edge(3, 0));
  CHECK_FALSE(star.has_edge(1, 2));
  CHECK_FALSE(star.has_edge(0, 0));
  CHECK_FALSE(star.has_edge(4, 0));
  CHECK_FALSE(star.has_edge(7, 0));
  CHECK_FALSE(star.has_edge(0, 7));
}
