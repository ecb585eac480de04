// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_scheduler.hpp>
#include <aatgs/integrations/coloring/coloring_pipeline.hpp>
#include <aatgs/integrations/coloring/dimacs.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>

#include "coloring_test_support.hpp"
#include "graph_test_support.hpp"

namespace aatgs::coloring::test {
namespace {

SchedulerOptions on_cpu(std::uint32_t threads = 3, std::uint32_t spawn_slots = 1 << 10) {
  SchedulerOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.context.cpu_threads = threads;
  options.most_tasks = 16;
  options.spawn_slots = spawn_slots;
  return options;
}

/// Gives all vertices one color.
struct PaintTiles {
  struct Config {
    Color color;
  };
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    for (std::uint32_t v = group.rank(); v < tiles.vertices; v += group.size()) {
      tiles.colors[v] = config.color;
    }
    if (group.rank() == 0) tiles.report->colorings += tiles.vertices;
  }
};

/// Phases in another order than the pipeline's, from the first one on.
class Phases {
 public:
  using TaskSteps = Steps<PrepareTiles, ColorTiles, DetectTiles, DetectAgain, SettleRound,
                          VerifyTiles, ReportColoring, PaintTiles>;

  explicit Phases(const Graph& graph)
      : pipeline(graph, MemoryKind::host, {.seed = 1, .tile_vertices = 8}) {
    then<PrepareTiles>({1, all()});
  }

  [[nodiscard]] TileRange all() const { return {0, pipeline.tiles().tiles}; }

  template <class Step>
  Phases& then(const typename Step::Config& config) {
    const std::string name = std::to_string(last_);
    last_ =
        last_ == no_task ? graph_.add<Step>(name, config) : graph_.add<Step>(name, config, {last_});
    return *this;
  }

  /// The code with which the last phase ends; 0: it has completed.
  std::uint32_t code() {
    const ColoringTiles view = pipeline.tiles();
    auto scheduler = make_cpu_scheduler(
        TaskSteps(PrepareTiles{view}, ColorTiles{view}, DetectTiles{view}, DetectAgain{view},
                  SettleRound{view}, VerifyTiles{view}, ReportColoring{view}, PaintTiles{view}),
        on_cpu());
    auto prepared = scheduler->prepare(graph_);
    REQUIRE(scheduler->run(prepared).summary.end == TaskRunEnd::finished);
    const TaskOutcome outcome = prepared.outcomes().at(last_);
    REQUIRE((outcome.status == TaskStatus::completed) == (outcome.code == 0));
    return outcome.code;
  }
  std::uint32_t checked() { return then<VerifyTiles>(all()).then<ReportColoring>({}).code(); }

  ColoringPipeline pipeline;

 private:
  TaskGraph<TaskSteps> graph_;
  TaskId last_ = no_task;
};

std::uint32_t code_of(ColoringFault fault) {
  return static_cast<std::uint32_t>(fault);
}

TEST_CASE("coloring pipeline: two neighbours in different tiles keep the same color") {
  for (const auto& [name, graph] : small_graphs()) {
    CAPTURE(name);
    for (const std::uint32_t tile : {1U, 16U, 5000U}) {
      CAPTURE(tile);
      const ColoringPipeline pipeline(graph, MemoryKind::host, {.seed = 1, .tile_vertices = tile});
      auto scheduler = make_cpu_scheduler(pipeline.steps(), on_cpu(3, 1 << 12));
      check_runs(*scheduler, pipeline, graph, 3);
    }
  }
}

TEST_CASE("coloring pipeline: a first round in which all neighbours collide is not repaired") {
  for (const auto& [name, graph] : small_graphs()) {
    CAPTURE(name);
    Phases phases(graph);
    phases.then<PaintTiles>({0})
        .then<DetectTiles>({0, phases.all()})
        .then<SettleRound>({0, graph.vertex_count()});
    CHECK(phases.checked() == 0);
    CHECK(count_conflicts(graph, phases.pipeline.colors()) == 0);
  }
}

TEST_CASE("coloring pipeline: a round loses its losers, or a tile is colored twice or in vain") {
  for (const auto& [name, graph] : small_graphs()) {
    CAPTURE(name);
    const ColoringPipeline pipeline(graph, MemoryKind::host,
                                    {.seed = 9, .tile_vertices = 7, .repeatable = true});
    auto scheduler = make_cpu_scheduler(pipeline.steps(), on_cpu());
    auto prepared = scheduler->prepare(pipeline.graph());
    const RepeatableReference expected(graph, 9, 7);
    for (int run = 0; run < 2; ++run) {
      const GraphReport done = scheduler->run(prepared);
      REQUIRE(done.all_completed());
      const auto report = prepared.result<ReportColoring>(ColoringPipeline::report);
      check_coloring(graph, pipeline.colors(), report);
      CHECK(report.losers == expected.losers);
      CHECK(report.rounds == expected.rounds);
      CHECK(done.summary.spawned == 2 * (expected.tiles_again + expected.rounds - 1));
    }
  }
}

TEST_CASE("coloring pipeline: a repeatable coloring depends on tiles or on threads") {
  for (const auto& [name, graph] : small_graphs()) {
    CAPTURE(name);
    const RepeatableReference expected(graph, 5, 1);
    for (const std::uint32_t threads : {1U, 3U}) {
      for (const std::uint32_t tile : {3U, 100U}) {
        const ColoringPipeline pipeline(graph, MemoryKind::host,
                                        {.seed = 5, .tile_vertices = tile, .repeatable = true});
        auto scheduler = make_cpu_scheduler(pipeline.steps(), on_cpu(threads));
        auto prepared = scheduler->prepare(pipeline.graph());
        REQUIRE(scheduler->run(prepared).all_completed());
        CHECK(pipeline.colors() == expected.colors);
      }
    }
  }
}

TEST_CASE("coloring pipeline: a coloring that is not legal passes as done") {
  const Graph graph = queen_graph(6);
  const auto fresh = [&] { return Phases(graph); };
  SUBCASE("a vertex is left out") {
    Phases phases = fresh();
    const TileRange some{0, phases.all().end - 1};
    CHECK(phases.then<ColorTiles>({0, some}).checked() == code_of(ColoringFault::uncolored));
  }
  SUBCASE("a conflict is left") {
    CHECK(fresh().then<PaintTiles>({0}).checked() == code_of(ColoringFault::conflict));
  }
  SUBCASE("a color is too high") {
    Phases phases(Graph(20, {}));
    CHECK(phases.then<PaintTiles>({1}).checked() == code_of(ColoringFault::above_degree));
  }
  SUBCASE("all are colored twice") {
    Phases phases = fresh();
    phases.then<ColorTiles>({0, phases.all()}).then<ColorTiles>({0, phases.all()});
    CHECK(phases.checked() == code_of(ColoringFault::miscounted));
  }
  SUBCASE("none") {
    Phases phases = fresh();
    CHECK(phases.then<ColorTiles>({0, phases.all()}).checked() == 0);
  }
}

TEST_CASE("coloring pipeline: rounds without progress go on for ever") {
  const Graph graph = complete_graph(10);
  Phases phases(graph);
  phases.then<PaintTiles>({0}).then<DetectTiles>({0, phases.all()});
  CHECK(phases.then<SettleRound>({0, 9}).code() == code_of(ColoringFault::no_progress));
}

TEST_CASE("coloring pipeline: a round without room for its tasks passes as done") {
  const Graph graph = queen_graph(8);
  const ColoringPipeline pipeline(graph, MemoryKind::host,
                                  {.seed = 1, .tile_vertices = 4, .repeatable = true});
  auto scheduler = make_cpu_scheduler(pipeline.steps(), on_cpu(3, 2));
  auto prepared = scheduler->prepare(pipeline.graph());
  const GraphReport done = scheduler->run(prepared);
  CHECK(done.summary.end == TaskRunEnd::finished);
  CHECK(done.summary.refused > 0);
  CHECK(prepared.outcomes()[ColoringPipeline::settle].status == TaskStatus::failed);
  CHECK(prepared.outcomes()[ColoringPipeline::report].status == TaskStatus::cancelled);
}

TEST_CASE("coloring pipeline: a tile without vertices is taken") {
  CHECK_THROWS_WITH_AS(
      ColoringPipeline(queen_graph(3), MemoryKind::host, {.seed = 1, .tile_vertices = 0}),
      doctest::Contains("tile_vertices = 0"), OptionError);
}

TEST_CASE("coloring pipeline: a repair cannot start from its colors") {
  const Graph graph = queen_graph(6);
  const ColoringPipeline pipeline(graph, MemoryKind::host);
  auto scheduler = make_cpu_scheduler(pipeline.steps(), on_cpu());
  auto prepared = scheduler->prepare(pipeline.graph());
  REQUIRE(scheduler->run(prepared).all_completed());
  WhcrOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.colors = prepared.result<ReportColoring>(ColoringPipeline::report).range;
  options.searches = 1;
  WhcrSolver solver(graph, options);
  const WhcrResult result = solver.run(pipeline.colors(), {});
  CHECK(result.conflicts_before == 0);
  CHECK(result.conflicts == 0);
}

TEST_CASE("coloring pipeline: a DIMACS graph is colored with conflicts" *
          doctest::skip(dimacs_dir() == nullptr)) {
  for (const char* name : {"DSJC500.5", "DSJC125.9", "le450_15b", "myciel7", "queen13_13"}) {
    CAPTURE(name);
    const Graph graph = read_dimacs(fs::path(dimacs_dir()) / (std::string(name) + ".col")).graph;
    const ColoringPipeline pipeline(graph, MemoryKind::host, {.seed = 1, .tile_vertices = 32});
    auto scheduler = make_cpu_scheduler(pipeline.steps(), on_cpu());
    check_runs(*scheduler, pipeline, graph, 2);
  }
}

}  // namespace
}  // namespace aatgs::coloring::test
