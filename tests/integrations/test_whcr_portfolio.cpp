// SPDX-License-Identifier: Apache-2.0
// WHCR on several devices; on host threads, a context for each.
#include <aatgs/integrations/coloring/whcr_portfolio.hpp>
#include <limits>
#include <set>

#include "whcr_solver_suite.hpp"

namespace aatgs::coloring::test {
namespace {

const std::vector<int> two{0, 1};

WhcrOptions host_options(std::uint32_t colors) {
  WhcrOptions options = options_for(ExecutorKind::cpu, Scope::block, colors);
  options.context.cpu_threads = 1;
  options.searches = 2;
  options.slice = 10;
  return options;
}

std::vector<Color> initial_for(const Graph& graph, const WhcrOptions& options) {
  return random_coloring(graph.vertex_count(), options.colors, options.seed);
}

/// A graph with a legal coloring that is known, and hard to find.
struct Planted {
  Planted() : colors(600) {
    const Graph random = gnp_graph(colors.size(), 0.12, 5);
    std::vector<Edge> edges;
    for (Vertex v = 0; v < colors.size(); ++v) colors[v] = v % k;
    for (Vertex v = 0; v < colors.size(); ++v) {
      for (const Vertex w : random.neighbors(v)) {
        if (v < w && colors[v] != colors[w]) edges.push_back({v, w});
      }
    }
    graph = Graph(colors.size(), edges);
  }
  static constexpr std::uint32_t k = 12;
  std::vector<Color> colors;
  Graph graph;
};

TEST_CASE("WHCR portfolio: a random coloring is not repaired, or the winner's is none") {
  const Graph graph = queen_graph(8);
  for (const auto& devices : {std::vector<int>{0}, two, std::vector<int>{2, 0, 1}}) {
    const WhcrOptions options = host_options(9);
    const auto all = run_whcr_portfolio(graph, options, devices, initial_for(graph, options), {});
    CHECK(all.best.conflicts == 0);
    CHECK(verify_coloring(graph, all.best.colors, 9).legal());
    REQUIRE(all.parts.size() == devices.size());
    CHECK(all.parts[all.winner].progress.conflicts == 0);
    WhcrProgress sum;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      CHECK(all.parts[i].device == devices[i]);
      CHECK(all.parts[i].failure.empty());
      CHECK(all.parts[i].searches == 2);
      sum.iterations += all.parts[i].progress.iterations;
      sum.moves += all.parts[i].progress.moves;
    }
    CHECK(all.best.total.iterations == sum.iterations);
    CHECK(all.best.total.moves == sum.moves);
  }
}

TEST_CASE("WHCR portfolio: a device goes on when another has found a legal coloring") {
  const Planted planted;
  WhcrOptions options = host_options(Planted::k);
  const auto all = run_whcr_portfolio(planted.graph, options, two, planted.colors,
                                      {.time = std::chrono::hours(1)});
  CHECK(all.winner == 0);
  CHECK(all.best.conflicts == 0);
  CHECK_FALSE(all.parts[0].was_stopped);
  CHECK(all.parts[1].was_stopped);
  CHECK(all.parts[1].progress.conflicts > 0);
}

TEST_CASE("WHCR portfolio: who asks it to stop waits for the time limit") {
  const Graph graph = mycielski_graph(4);  // needs 5 colors
  const WhcrOptions options = host_options(3);
  std::stop_source stop;
  stop.request_stop();
  const auto all = run_whcr_portfolio(graph, options, two, initial_for(graph, options),
                                      {.time = std::chrono::hours(1), .stop = stop.get_token()});
  CHECK(all.best.conflicts > 0);
  for (const WhcrPart& part : all.parts) {
    CHECK(part.was_stopped);
    CHECK(part.progress.iterations == 2 * 10);  // the first slice of each search
  }
}

TEST_CASE(
    "WHCR portfolio: a device repeats another's searches, or is no run that can be repeated") {
  const Graph graph = mycielski_graph(4);
  const WhcrOptions options = host_options(3);
  const WhcrLimits limits{.iterations = 200};
  const auto initial = initial_for(graph, options);
  const auto all = run_whcr_portfolio(graph, options, two, initial, limits);
  std::set<std::uint64_t> moves;
  for (std::size_t i = 0; i < 2; ++i) {
    WhcrOptions alone = options;
    alone.seed = whcr_part_seed(options.seed, i);
    CHECK(all.parts[i].seed == alone.seed);
    WhcrSolver solver(graph, alone);
    const WhcrResult part = solver.run(i == 0 ? initial : initial_for(graph, alone), limits);
    CHECK(all.parts[i].progress.moves == part.total.moves);
    CHECK(all.parts[i].progress.conflicts == part.total.conflicts);
    CHECK(all.parts[i].progress.iterations == 400);
    moves.insert(part.total.moves);
  }
  CHECK(moves.size() == 2);
  CHECK(all.best.colors == run_whcr_portfolio(graph, options, two, initial, limits).best.colors);
  CHECK(whcr_part_seed(1, 0) == 1);
}

TEST_CASE("WHCR portfolio: of two legal colorings that with more colors wins") {
  const Graph graph(2, std::vector<Edge>{});
  WhcrOptions options = host_options(2);
  options.searches = 1;
  const auto second_uses = [&](std::size_t count) {
    for (options.seed = 1;; ++options.seed) {
      const auto colors = random_coloring(2, 2, whcr_part_seed(options.seed, 1));
      if (std::set<Color>(colors.begin(), colors.end()).size() == count) return;
    }
  };
  const std::vector<Color> initial{0, 1};
  second_uses(1);
  auto all = run_whcr_portfolio(graph, options, two, initial, {});
  CHECK(all.winner == 1);
  CHECK(all.parts[0].colors == 2);
  CHECK(all.parts[1].colors == 1);
  second_uses(2);
  all = run_whcr_portfolio(graph, options, two, initial, {});
  CHECK(all.winner == 0);
}

TEST_CASE("WHCR portfolio: reports come from several threads at once, or tell of more than is") {
  const Graph graph = mycielski_graph(4);
  const WhcrOptions options = host_options(3);
  WhcrProgress last;
  const auto all =
      run_whcr_portfolio(graph, options, two, initial_for(graph, options),
                         {.time = std::chrono::milliseconds(250)}, [&](const WhcrProgress& now) {
                           CHECK(now.iterations >= last.iterations);
                           CHECK(now.conflicts > 0);
                           last = now;
                         });
  CHECK(all.best.total.iterations >= last.iterations);
  CHECK(all.best.total.moves >= last.moves);
}

/// Controllers act, and so many of their reports throw.
WhcrOptions failing_options(int& times) {
  WhcrOptions options = host_options(16);
  options.searches = 1;
  options.slice = 5;
  options.hypertune = true;
  options.hypertune_report = [&times](const RunMetric&) {
    if (times-- > 0) throw Error("planted");
  };
  return options;
}

TEST_CASE("WHCR portfolio: a device that fails takes the others with it, or is not told of") {
  const Graph graph = gnp_graph(120, 0.5, 1);
  int times = 1;  // one thread at a time
  const WhcrOptions options = failing_options(times);
  const auto initial = initial_for(graph, options);
  const WhcrLimits limits{.iterations = 2000};
  const auto all = run_whcr_portfolio(graph, options, two, initial, limits);
  const std::size_t other = 1 - all.winner;
  CHECK(all.parts[other].failure == "planted");
  CHECK(all.parts[all.winner].failure.empty());
  CHECK(all.parts[all.winner].progress.iterations >= 2000);
  CHECK(all.best.conflicts == count_conflicts(graph, all.best.colors));

  times = std::numeric_limits<int>::max();
  CHECK_THROWS_AS((void)run_whcr_portfolio(graph, options, two, initial, limits), Error);
}

TEST_CASE("WHCR portfolio: bad input is taken") {
  const Graph graph = queen_graph(5);
  WhcrOptions options = host_options(5);
  const auto initial = initial_for(graph, options);
  const auto run = [&](const std::vector<int>& devices) {
    (void)run_whcr_portfolio(graph, options, devices, initial, {});
  };
  CHECK_THROWS_AS(run({}), OptionError);
  CHECK_THROWS_AS(run({1, 0, 1}), OptionError);
  options.colors = 0;
  CHECK_THROWS_AS(run(two), OptionError);
  options.colors = 4;  // the initial coloring has five
  const auto all = run_whcr_portfolio(graph, options, two, initial, {.iterations = 10});
  CHECK(all.winner == 1);
  CHECK(all.parts[0].failure.find("color not below") != std::string::npos);
  options.colors = 5;
  RunTrace trace(true, 10);
  options.trace = &trace;
  CHECK_THROWS_AS(run(two), OptionError);
  options.trace = nullptr;
  options.context.executor = ExecutorKind::resident;
  CHECK_THROWS_AS(run({4711, 0}), DeviceError);
  options.context.executor = ExecutorKind::automatic;  // not on the host instead
  CHECK_THROWS_AS(run({0, 4711}), DeviceError);
}

}  // namespace
}  // namespace aatgs::coloring::test
