// SPDX-License-Identifier: Apache-2.0
// Colorings by a graph of phases, on the GPU.
#include <doctest/doctest.h>

#include <aatgs/host/make_scheduler.cuh>
#include <aatgs/integrations/coloring/coloring_pipeline.hpp>
#include <aatgs/integrations/coloring/dimacs.hpp>

#include "../brief.hpp"
#include "../integrations/coloring_test_support.hpp"
#include "../integrations/graph_test_support.hpp"

namespace aatgs::coloring::test {
namespace {

SchedulerOptions on_gpu(const ColoringPipeline& pipeline) {
  SchedulerOptions options;
  options.context.executor = ExecutorKind::resident;
  options.most_tasks = 16;
  options.spawn_slots = pipeline.spawn_slots();
  return options;
}

std::vector<GraphCase> graphs() {
  if (aatgs::test::brief_or(true, false)) {
    return {{"queen", queen_graph(8)}, {"complete", complete_graph(12)}, {"none", Graph(0, {})}};
  }
  std::vector<GraphCase> graphs = small_graphs();
  graphs.push_back({"large mesh", mesh_graph(300)});
  graphs.push_back({"large random", gnp_graph(100'000, 10.0 / 100'000, 6)});
  return graphs;
}

TEST_CASE("coloring pipeline: two neighbours keep the same color") {
  for (const auto& [name, graph] : graphs()) {
    CAPTURE(name);
    const ColoringPipeline pipeline(graph, MemoryKind::device);
    auto scheduler = make_scheduler(pipeline.steps(), on_gpu(pipeline));
    check_runs(*scheduler, pipeline, graph, 2);
  }
}

TEST_CASE("coloring pipeline: a round loses its losers, or a tile is colored twice or in vain") {
  for (const auto& [name, graph] : graphs()) {
    CAPTURE(name);
    const ColoringPipeline pipeline(graph, MemoryKind::device,
                                    {.seed = 9, .tile_vertices = 64, .repeatable = true});
    auto scheduler = make_scheduler(pipeline.steps(), on_gpu(pipeline));
    auto prepared = scheduler->prepare(pipeline.graph());
    const GraphReport done = scheduler->run(prepared);
    REQUIRE(done.all_completed());
    const RepeatableReference expected(graph, 9, 64);
    CHECK(pipeline.colors() == expected.colors);
    CHECK(prepared.result<ReportColoring>(ColoringPipeline::report).rounds == expected.rounds);
    CHECK(done.summary.spawned == 2 * (expected.tiles_again + expected.rounds - 1));
  }
}

TEST_CASE("coloring pipeline: a DIMACS graph is colored with conflicts" *
          doctest::skip(dimacs_dir() == nullptr)) {
  for (const char* name : {"DSJC500.5", "DSJC1000.1", "le450_15b", "queen13_13"}) {
    CAPTURE(name);
    const Graph graph = read_dimacs(fs::path(dimacs_dir()) / (std::string(name) + ".col")).graph;
    const ColoringPipeline pipeline(graph, MemoryKind::device);
    auto scheduler = make_scheduler(pipeline.steps(), on_gpu(pipeline));
    check_runs(*scheduler, pipeline, graph, 2);
  }
}

}  // namespace
}  // namespace aatgs::coloring::test
