// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/coloring_pipeline.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace aatgs::coloring::test {

struct GraphCase {
  std::string name;
  Graph graph;
};

inline Graph complete_graph(std::uint32_t vertices) {
  std::vector<Edge> edges;
  for (Vertex v = 0; v < vertices; ++v) {
    for (Vertex w = 0; w < v; ++w) edges.push_back({v, w});
  }
  return Graph(vertices, edges);
}

inline Graph star_graph(std::uint32_t rays) {
  std::vector<Edge> edges;
  for (Vertex v = 1; v <= rays; ++v) edges.push_back({0, v});
  return Graph(rays + 1, edges);
}

inline Graph mesh_graph(std::uint32_t side) {
  std::vector<Edge> edges;
  for (Vertex v = 0; v < side * side; ++v) {
    if (v % side != 0) edges.push_back({v, v - 1});
    if (v >= side) edges.push_back({v, v - side});
  }
  return Graph(std::size_t{side} * side, edges);
}

inline std::vector<GraphCase> small_graphs() {
  return {{"no vertex", Graph(0, {})},
          {"one vertex", Graph(1, {})},
          {"no edge", Graph(500, {})},
          {"complete", complete_graph(70)},  // more colors than are looked at together
          {"star", star_graph(900)},
          {"mesh", mesh_graph(30)},
          {"queen", queen_graph(8)},
          {"sparse", gnp_graph(1500, 0.005, 3)},
          {"dense", gnp_graph(200, 0.5, 4)}};
}

/// That a run has colored the graph as it should, and reports so.
inline void check_coloring(const Graph& graph, const std::vector<Color>& colors,
                           const ColoringReport& report) {
  const std::uint64_t most = graph.max_degree() + std::uint64_t{1};
  const Verification found = verify_coloring(graph, colors, most);
  INFO(found.describe());
  CHECK(found.legal());
  CHECK(report.conflicts == 0);
  CHECK(report.uncolored == 0);
  CHECK(report.colorings == graph.vertex_count() + report.losers);
  CHECK(report.rounds >= 1);
  CHECK(report.colors == std::set<Color>(colors.begin(), colors.end()).size());
  CHECK(report.range == (colors.empty() ? 0 : *std::max_element(colors.begin(), colors.end()) + 1));
}

/// Runs of one prepared graph, each with another seed, and of any scheduler.
template <class Scheduler>
void check_runs(Scheduler& scheduler, const ColoringPipeline& pipeline, const Graph& graph,
                int runs) {
  auto prepared = scheduler.prepare(pipeline.graph());
  for (int run = 0; run < runs; ++run) {
    prepared.template config<PrepareTiles>(ColoringPipeline::prepare).seed = 40U + run;
    const GraphReport done = scheduler.run(prepared);
    INFO(prepared.explain(ColoringPipeline::report));
    REQUIRE(done.all_completed());
    check_coloring(graph, pipeline.colors(),
                   prepared.template result<ReportColoring>(ColoringPipeline::report));
  }
}

/// What repeatable runs come to: the same rounds one vertex after the other.
struct RepeatableReference {
  std::vector<Color> colors;
  std::uint32_t rounds = 0;
  std::uint64_t losers = 0;
  std::uint64_t tiles_again = 0;  ///< over all rounds but the first

  RepeatableReference(const Graph& graph, std::uint64_t seed, std::uint32_t tile)
      : colors(graph.vertex_count()) {
    std::vector<Vertex> due(colors.size());
    for (Vertex v = 0; v < due.size(); ++v) due[v] = v;
    do {
      due = color(graph, seed, due);
      ++rounds;
      losers += due.size();
      std::set<std::uint32_t> again;
      for (const Vertex v : due) again.insert(v / tile);
      tiles_again += again.size();
    } while (!due.empty());
  }

 private:
  std::vector<Vertex> color(const Graph& graph, std::uint64_t seed,
                            const std::vector<Vertex>& due) {
    for (const Vertex v : due) colors[v] = ~0U;
    std::vector<Color> chosen(colors);
    for (const Vertex v : due) {
      std::set<Color> taken;
      for (const Vertex w : graph.neighbors(v)) taken.insert(colors[w]);
      chosen[v] = 0;
      while (taken.contains(chosen[v])) ++chosen[v];
    }
    colors = chosen;
    const auto rank = [&](Vertex v) {
      return std::tuple(graph.degree(v), counter_hash(seed, v) >> 32, v);
    };
    std::vector<Vertex> losers_now;
    for (const Vertex v : due) {
      const auto wins = [&](Vertex w) { return colors[w] == colors[v] && rank(w) > rank(v); };
      if (std::ranges::any_of(graph.neighbors(v), wins)) losers_now.push_back(v);
    }
    return losers_now;
  }
};

}  // namespace aatgs::coloring::test
