// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/haar_field.hpp>
#include <aatgs/integrations/coloring/matching_hierarchy.hpp>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

using namespace aatgs;
using namespace aatgs::coloring;

namespace {

/// Node of `level` that each vertex belongs to.
std::vector<std::uint32_t> nodes_of(const MatchingHierarchy& hierarchy, std::uint32_t level) {
  std::vector<std::uint32_t> node(hierarchy.level_begin()[1]);
  std::iota(node.begin(), node.end(), 0U);
  for (std::uint32_t l = 0; l < level; ++l) {
    for (auto& n : node) n = hierarchy.parent()[n];
  }
  return node;
}

/// Edges of the graph between two nodes of a level.
int links(const Graph& graph, const std::vector<std::uint32_t>& node, std::uint32_t a,
          std::uint32_t b) {
  int count = 0;
  for (const Edge& edge : graph.edges()) {
    count += (node[edge.u] == a && node[edge.v] == b) || (node[edge.u] == b && node[edge.v] == a);
  }
  return count;
}

const std::vector<Graph> graphs = {gnp_graph(80, 0.1, 1), gnp_graph(60, 0.5, 2), queen_graph(7),
                                   mycielski_graph(4),    Graph(5, {}),          Graph()};

}  // namespace

TEST_CASE("mass is lost between levels") {
  for (const Graph& graph : graphs) {
    const MatchingHierarchy hierarchy(graph, 6);
    for (std::uint32_t level = 0; level < hierarchy.level_count(); ++level) {
      std::vector<std::uint32_t> mass(hierarchy.node_count());
      for (const std::uint32_t node : nodes_of(hierarchy, level)) ++mass[node];
      for (std::uint32_t n = hierarchy.level_begin()[level]; n < hierarchy.level_begin()[level + 1];
           ++n) {
        CHECK(hierarchy.mass()[n] == mass[n]);
        CHECK(mass[n] > 0);
      }
    }
  }
}

TEST_CASE("a node has no parent, three children, or a wrong mark") {
  for (const Graph& graph : graphs) {
    const MatchingHierarchy hierarchy(graph, 6);
    const auto begin = hierarchy.level_begin();
    std::vector<int> children(hierarchy.node_count());
    for (std::uint32_t level = 0; level + 1 < hierarchy.level_count(); ++level) {
      for (std::uint32_t n = begin[level]; n < begin[level + 1]; ++n) {
        const std::uint32_t parent = hierarchy.parent()[n];
        REQUIRE(parent >= begin[level + 1]);
        REQUIRE(parent < begin[level + 2]);
        ++children[parent];
      }
      for (std::uint32_t n = begin[level]; n < begin[level + 1]; ++n) {
        const int siblings = children[hierarchy.parent()[n]];
        CHECK(siblings == (hierarchy.paired()[n] == 1 ? 2 : 1));
      }
    }
    for (std::uint32_t n = begin[hierarchy.level_count() - 1]; n < hierarchy.node_count(); ++n) {
      CHECK(hierarchy.parent()[n] == n);
      CHECK(hierarchy.paired()[n] == 0);
    }
  }
}

TEST_CASE("strangers are matched, or neighbors both left alone") {
  const Graph& graph = graphs[0];
  const MatchingHierarchy hierarchy(graph, 4);
  CHECK(hierarchy.level_count() == 4);
  for (std::uint32_t level = 0; level + 1 < hierarchy.level_count(); ++level) {
    const auto node = nodes_of(hierarchy, level);
    for (std::uint32_t a = hierarchy.level_begin()[level]; a < hierarchy.level_begin()[level + 1];
         ++a) {
      for (std::uint32_t b = a + 1; b < hierarchy.level_begin()[level + 1]; ++b) {
        const bool pair = hierarchy.parent()[a] == hierarchy.parent()[b];
        const bool alone = hierarchy.paired()[a] == 0 && hierarchy.paired()[b] == 0;
        if (pair) CHECK(links(graph, node, a, b) > 0);
        if (alone) CHECK(links(graph, node, a, b) == 0);
      }
    }
  }
}

TEST_CASE("a light edge is matched where a heavy one was free") {
  // The pairs A = {0, 1}, B = {2, 3}, C = {4, 5} of level 1 form a triangle in which A, who chooses
  // first, shares one edge with B, which it finds first, and two with C.
  const std::vector<Edge> edges = {{0, 1}, {2, 3}, {4, 5}, {0, 2}, {1, 4}, {1, 5}, {3, 4}};
  const MatchingHierarchy hierarchy(Graph(6, edges), 3);
  const auto fine = nodes_of(hierarchy, 1);
  REQUIRE(fine[0] == fine[1]);
  REQUIRE(fine[2] == fine[3]);
  REQUIRE(fine[4] == fine[5]);
  const auto coarse = nodes_of(hierarchy, 2);
  CHECK(coarse[0] == coarse[4]);
  CHECK(coarse[0] != coarse[2]);
}

TEST_CASE("the same graph gives another hierarchy") {
  const MatchingHierarchy a(graphs[1], 5);
  const MatchingHierarchy b(graphs[1], 5);
  CHECK(std::vector(a.parent().begin(), a.parent().end()) ==
        std::vector(b.parent().begin(), b.parent().end()));
}

TEST_CASE("a number of levels that cannot be is taken") {
  CHECK_THROWS_AS(MatchingHierarchy(graphs[0], 0), OptionError);
  CHECK_THROWS_AS(MatchingHierarchy(graphs[0], max_hierarchy_levels + 1), OptionError);
  CHECK(MatchingHierarchy(graphs[0], 1).node_count() == graphs[0].vertex_count());
}

TEST_CASE("values are not recovered exactly from means and details") {
  for (const std::uint32_t levels : {1U, 4U, max_hierarchy_levels}) {
    const Graph graph = gnp_graph(9000, 4.0 / 9000, 3);
    const MatchingHierarchy hierarchy(graph, levels);
    CHECK(hierarchy.level_count() == levels);
    std::vector<std::int32_t> mean(hierarchy.node_count());
    const HaarField field{hierarchy.parent().data(), hierarchy.paired().data(), mean.data()};
    std::vector<std::int32_t> value(graph.vertex_count());
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
      const auto v = static_cast<std::uint32_t>(random() % value.size());
      const std::int32_t amount = static_cast<std::int32_t>(random() % 7) - 3;
      value[v] += amount;
      field.add(v, amount);
    }
    for (std::uint32_t v = 0; v < value.size(); ++v) {
      std::int64_t sum = 0;
      std::uint32_t node = v;
      for (; hierarchy.parent()[node] != node; node = hierarchy.parent()[node]) {
        sum += field.detail(node);
      }
      CHECK(sum + mean[node] == std::int64_t{value[v]} * HaarField::one);
    }
    // Twice the mean is the sum of the pair, and their details are opposite.
    std::vector<std::int64_t> of_children(hierarchy.node_count());
    std::vector<std::int64_t> details(hierarchy.node_count());
    for (std::uint32_t node = 0; node < hierarchy.node_count(); ++node) {
      const std::uint32_t parent = hierarchy.parent()[node];
      if (parent == node) continue;
      of_children[parent] += hierarchy.paired()[node] == 1 ? mean[node] : 2 * mean[node];
      details[parent] += field.detail(node);
    }
    for (std::uint32_t n = graph.vertex_count(); n < hierarchy.node_count(); ++n) {
      CHECK(of_children[n] == 2 * std::int64_t{mean[n]});
      CHECK(details[n] == 0);
    }
  }
}

TEST_CASE("additions of two threads get lost") {
  const Graph graph = queen_graph(4);
  const MatchingHierarchy hierarchy(graph, 4);
  std::vector<std::int32_t> mean(hierarchy.node_count());
  const HaarField field{hierarchy.parent().data(), hierarchy.paired().data(), mean.data()};
  const auto add = [&](std::uint32_t first) {
    for (int i = 0; i < 20000; ++i) field.add((first + static_cast<std::uint32_t>(i)) % 16, 1);
  };
  {
    const std::jthread other(add, 8);
    add(0);
  }
  for (std::uint32_t v = 0; v < 16; ++v) CHECK(mean[v] == 2500 * HaarField::one);
  for (std::uint32_t n = 16; n < hierarchy.node_count(); ++n)
    CHECK(mean[n] == 2500 * HaarField::one);
}
