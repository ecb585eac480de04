// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/verifier.hpp>
#include <aatgs/integrations/coloring/whcr_hypertune.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <set>
#include <string>

#include "whcr_test_support.hpp"

namespace aatgs::coloring::test {
namespace {

using Event = HypertuneEvent;
using Kind = HypertuneKind;

/// A bench whose searches show their colorings.
struct Showing : WhcrBench {
  Showing(Graph its_graph, std::uint32_t k, std::uint64_t seed, std::uint32_t searches)
      : WhcrBench(std::move(its_graph), k, seed, searches),
        colorings(std::size_t{searches} * graph.vertex_count(), 0x0FFF'FFFF) {
    step.problem.shown = colorings.data();
  }
  [[nodiscard]] std::vector<Color> shown(std::uint32_t search) const {
    const auto n = static_cast<std::ptrdiff_t>(graph.vertex_count());
    return {colorings.begin() + search * n, colorings.begin() + (search + 1) * n};
  }
  KernelTelemetry recombine(std::uint32_t search, std::uint32_t other, int iterations) {
    config.iteration = static_cast<std::int32_t>(search);
    config.num_quantum_states = static_cast<std::int32_t>(other);
    config.set(ConfigFlag::quantum);
    const KernelTelemetry telemetry = run(0, iterations);
    config.set(ConfigFlag::quantum, false);
    return telemetry;
  }
  std::vector<std::uint32_t> colorings;
};

/// Sizes of the classes of `coloring` among vertices that are `left`.
std::vector<int> class_sizes(const std::vector<Color>& coloring, const std::vector<bool>& left,
                             std::uint32_t k) {
  std::vector<int> sizes(k);
  for (std::size_t v = 0; v < coloring.size(); ++v) sizes[coloring[v]] += left[v] ? 1 : 0;
  return sizes;
}

/// Takes away what a child took from one parent as its next class; false if it was none of the
/// parent's largest.
bool take_class(const std::vector<Color>& parent, std::vector<bool>& left,
                const std::set<std::size_t>& members, std::uint32_t k) {
  const auto sizes = class_sizes(parent, left, k);
  const int largest = *std::max_element(sizes.begin(), sizes.end());
  std::set<Color> from;
  for (const std::size_t v : members) from.insert(parent[v]);
  if (largest > 0 && (from.size() != 1 || static_cast<int>(members.size()) != largest))
    return false;
  for (const std::size_t v : members) left[v] = false;
  return true;
}

/// Whether classes 0 .. `classes` of the child are the largest left of `a` and `b` in turns.
bool is_child(const std::vector<Color>& child, const std::vector<Color>& a,
              const std::vector<Color>& b, std::uint32_t k, std::uint32_t classes) {
  for (const bool b_first : {false, true}) {
    std::vector<bool> left(child.size(), true);
    bool matches = true;
    for (std::uint32_t c = 0; c < classes && matches; ++c) {
      std::set<std::size_t> members;
      for (std::size_t v = 0; v < child.size(); ++v) {
        if (child[v] == c && left[v]) members.insert(v);
      }
      matches = take_class((c % 2 == 1) != b_first ? b : a, left, members, k);
    }
    if (matches) return true;
  }
  return false;
}

KernelTelemetry slice_of(std::uint32_t search, int conflicts, int worsening = 10) {
  KernelTelemetry t{};
  t.best_replica = static_cast<std::int32_t>(search);
  t.conflicts = conflicts + 1;
  t.free_energy = static_cast<float>(conflicts);
  t.padding[0] = 100;
  t.moves_applied = 100;
  t.tunneling_events = worsening;
  return t;
}

/// Answers every stall so.
HypertuneOptions stall_answer(Kind kind, float factor = 1) {
  HypertuneOptions options;
  options.rules = {{Event::phase_stalled, kind, factor}};
  return options;
}

WhcrOptions solver_options(std::uint32_t searches, std::uint32_t colors, std::uint64_t seed) {
  WhcrOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.context.cpu_threads = 1;  // so that a run can be repeated
  options.searches = searches;
  options.colors = colors;
  options.seed = seed;
  return options;
}

WhcrResult solve(const Graph& graph, const WhcrOptions& options, std::uint64_t iterations) {
  WhcrSolver solver(graph, options);
  const auto initial = random_coloring(graph.vertex_count(), options.colors, options.seed);
  return solver.run(initial, {.iterations = iterations});
}

}  // namespace

TEST_CASE("recombination: the child is not made of its parents' largest classes") {
  for (const std::uint32_t threads : {1U, 3U}) {
    constexpr std::uint32_t k = 7;
    Showing bench(gnp_graph(150, 0.2, 3), k, 5, 2);
    bench.threads = threads;
    for (const int search : {0, 1}) {
      bench.config.iteration = search;
      bench.run(0, 60);
      CHECK(bench.shown(bench.index()) == bench.coloring(bench.index()));
    }
    const auto a = bench.coloring(0);
    const auto b = bench.coloring(1);
    const KernelTelemetry telemetry = bench.recombine(0, 1, 0);
    const auto child = bench.coloring(0);
    CHECK(child != a);
    CHECK(child != b);
    CHECK(verify_coloring(bench.graph, child, k).out_of_range == 0);
    CHECK(static_cast<std::uint64_t>(telemetry.conflicts) == count_conflicts(bench.graph, child));
    CHECK(telemetry.free_energy == static_cast<float>(telemetry.conflicts));
    CHECK(bench.shown(0) == child);
    CHECK(bench.coloring(1) == b);
  }
}

TEST_CASE("recombination: classes come from one parent only, or not the largest first") {
  // Both parents use few of many colors, so that no vertex is left over.
  constexpr std::uint32_t k = 40;
  Showing bench(Graph(30, {}), k, 5, 2);
  std::vector<Color> a(30);
  std::vector<Color> b(30);
  for (std::uint32_t v = 0; v < 30; ++v) {
    a[v] = v < 3 ? 0 : v < 9 ? 1 : v < 18 ? 2 : 3;  // 3, 6, 9, 12 vertices
    b[v] = 10 + v % 4;                              // 8, 8, 7, 7
  }
  bench.set_coloring(a, 0);
  bench.set_coloring(b, 1);
  for (const int search : {0, 1}) {
    bench.config.iteration = search;
    bench.run(0, 0);
  }
  bench.state(0).iteration = 1;  // a bench goes by it for whether the tables are built
  bench.recombine(0, 1, 0);
  CHECK(is_child(bench.coloring(0), a, b, k, k));
  CHECK(!is_child(bench.coloring(0), a, a, k, k));
}

TEST_CASE("recombination: the search goes on with old tables, or repeats its random numbers") {
  Showing bench(gnp_graph(150, 0.2, 3), 7, 5, 2);
  for (const int search : {0, 1}) {
    bench.config.iteration = search;
    bench.run(0, 60);
  }
  bench.recombine(0, 1, 25);
  CHECK(bench.state(0).iteration == 85);
  const KernelTelemetry telemetry = bench.run(0, 25);
  CHECK(static_cast<std::uint64_t>(telemetry.conflicts) ==
        count_conflicts(bench.graph, bench.coloring(0)));
  CHECK(bench.state(0).iteration == 110);
}

TEST_CASE("recombination: the moves change where nobody asked for it") {
  WhcrBench plain(gnp_graph(150, 0.2, 3), 7, 5, 2);
  WhcrBench asked_in_vain(gnp_graph(150, 0.2, 3), 7, 5, 2);
  Showing showing(gnp_graph(150, 0.2, 3), 7, 5, 2);
  asked_in_vain.config.set(ConfigFlag::quantum);
  for (int slice = 0; slice < 6; ++slice) {
    for (WhcrBench* bench : {&plain, &asked_in_vain, static_cast<WhcrBench*>(&showing)}) {
      bench->config.iteration = slice;
      bench->run(10, 10);
    }
  }
  CHECK(asked_in_vain.coloring() == plain.coloring());
  CHECK(showing.coloring() == plain.coloring());
  CHECK(showing.coloring(1) == plain.coloring(1));
}

TEST_CASE("recombination: a coloring never shown, or one vertex, takes it out of bounds") {
  Showing bench(gnp_graph(50, 0.2, 3), 5, 5, 2);
  bench.run(0, 10);
  bench.recombine(0, 1, 5);  // what search 1 shows is no color anywhere
  CHECK(verify_coloring(bench.graph, bench.coloring(0), 5).out_of_range == 0);
  Showing single(Graph(1, {}), 1, 5, 2);
  single.run(0, 1);
  CHECK(single.recombine(0, 1, 5).conflicts == 0);
}

TEST_CASE("hypertune of WHCR: an action changes another field, or leaves its range") {
  const RuntimeConfig base = RuntimeConfig::production();
  const auto after = [&](Kind kind, float factor, int stalls) {
    WhcrHypertune tuning(stall_answer(kind, factor), base, 1, 1);
    for (int i = 0; i < 2 * stalls; ++i) tuning.observe(slice_of(0, 9));
    CHECK(tuning.actions() == static_cast<std::uint64_t>(stalls));
    return tuning;
  };
  RuntimeConfig warmer = base;
  warmer.exploration_rate = 2 * base.exploration_rate;
  CHECK(after(Kind::adjust_temperatures, 2, 1).next_config(0).exploration_rate ==
        warmer.exploration_rate);
  CHECK(after(Kind::adjust_temperatures, 2, 9).next_config(0).exploration_rate == 0.4F);
  CHECK(after(Kind::adjust_temperatures, 0.1F, 9).next_config(0).exploration_rate == 1.0F / 64);
  CHECK(after(Kind::adjust_weights, 2, 1).next_config(0).persistence_weight == 0.7F);
  CHECK(after(Kind::adjust_weights, 2, 9).next_config(0).persistence_weight == 2);
  CHECK(after(Kind::adjust_weights, 0.1F, 9).next_config(0).persistence_weight == 0.05F);
  CHECK(after(Kind::adjust_iterations, 2, 1).length(0) == 2);
  CHECK(after(Kind::adjust_iterations, 2, 9).length(0) == 16);
  CHECK(after(Kind::adjust_iterations, 0.1F, 9).length(0) == 1);
  CHECK(!after(Kind::toggle_phase, 1, 1).coarse(0));
  CHECK(after(Kind::toggle_phase, 1, 2).coarse(0));
  const auto alone = after(Kind::adjust_population, 1, 3);
  CHECK(!alone.next_config(0).has(ConfigFlag::quantum));  // there is no other
  CHECK(alone.next_config(0).exploration_rate == base.exploration_rate);
}

TEST_CASE("hypertune of WHCR: the baseline is not restored") {
  HypertuneOptions options;
  for (const Kind kind : {Kind::adjust_temperatures, Kind::adjust_weights, Kind::adjust_iterations,
                          Kind::toggle_phase, Kind::reset_to_baseline}) {
    if (kind == Kind::adjust_temperatures) options.rules.clear();
    options.rules.push_back({Event::phase_stalled, kind, 1.5F});
  }
  const RuntimeConfig base = RuntimeConfig::production();
  WhcrHypertune tuning(options, base, 1, 1);
  for (int i = 0; i < 8; ++i) tuning.observe(slice_of(0, 9));
  CHECK(tuning.next_config(0).exploration_rate > base.exploration_rate);
  CHECK(tuning.next_config(0).persistence_weight > base.persistence_weight);
  CHECK(!tuning.coarse(0));
  for (int i = 0; i < 2; ++i) tuning.observe(slice_of(0, 9));
  CHECK(tuning.next_config(0).exploration_rate == base.exploration_rate);
  CHECK(tuning.next_config(0).persistence_weight == base.persistence_weight);
  CHECK(tuning.length(0) == 1);
  CHECK(tuning.coarse(0));
}

TEST_CASE("hypertune of WHCR: a search recombines twice, with itself, or with the unknown") {
  constexpr std::uint32_t searches = 4;
  WhcrHypertune tuning(stall_answer(Kind::adjust_population), RuntimeConfig::production(), searches,
                       3);
  for (int i = 0; i < 3; ++i) tuning.observe(slice_of(0, 9));  // nobody else is known
  CHECK(!tuning.next_config(0).has(ConfigFlag::quantum));
  tuning.observe(slice_of(2, 5));
  std::set<std::int32_t> partners;
  for (int i = 0; i < 200; ++i) {
    tuning.observe(slice_of(0, 9));
    const RuntimeConfig config = tuning.next_config(0);
    if (config.has(ConfigFlag::quantum)) partners.insert(config.num_quantum_states);
    CHECK(tuning.next_config(0).has(ConfigFlag::quantum) == config.has(ConfigFlag::quantum));
    tuning.queued(0);
    CHECK(!tuning.next_config(0).has(ConfigFlag::quantum));
    CHECK(!tuning.next_config(1).has(ConfigFlag::quantum));
  }
  CHECK(partners == std::set<std::int32_t>{2});
}

TEST_CASE("hypertune of WHCR: noise that does not pay is not cooled down") {
  WhcrHypertune tuning(whcr_hypertune_options(2), RuntimeConfig::production(), 2, 1);
  for (int i = 0; i < 49; ++i) tuning.observe(slice_of(0, 100 - i, 60));
  CHECK(tuning.actions() == 0);
  tuning.observe(slice_of(0, 50, 60));
  CHECK(tuning.actions() == 1);
  CHECK(tuning.next_config(0).exploration_rate == 0.05F);
}

TEST_CASE("hypertune of WHCR: options for slices of any length cannot work") {
  for (const std::uint32_t searches : {1U, 2U, 1000U}) {
    for (const std::uint32_t slice : {0U, 1U, 7U, 10U, 100U, 1'000'000'000U}) {
      CHECK_NOTHROW(check_options(whcr_hypertune_options(searches, slice)));
    }
  }
}

TEST_CASE("hypertune of WHCR: the solver acts unasked, does not act, or loses a record of it") {
  const Graph graph = gnp_graph(120, 0.5, 1);
  WhcrOptions options = solver_options(4, 16, 5);  // too few colors
  const WhcrResult off = solve(graph, options, 3000);
  CHECK(off.hypertune_actions == 0);
  options.hypertune = true;
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;
  std::uint64_t paid = 0;
  options.hypertune_report = [&](const RunMetric& metric) {
    ++(metric.notes.view() == R"("action")" ? begun : ended);
    if (metric.parameters.view().find(R"("paid":true)") != std::string_view::npos) ++paid;
  };
  const WhcrResult on = solve(graph, options, 3000);
  CHECK(on.conflicts > 0);
  CHECK(on.hypertune_actions > 10);
  CHECK(begun == on.hypertune_actions);
  CHECK(ended <= begun);
  CHECK(ended + options.searches >= begun);
  CHECK(paid == on.hypertune_paid);
  CHECK(paid > 0);
  CHECK(on.total.iterations == off.total.iterations);
  CHECK(on.total.moves != off.total.moves);
  CHECK(solve(graph, options, 3000).total.moves == on.total.moves);
}

TEST_CASE("hypertune of WHCR: a second run goes on with the tuning of the first") {
  const Graph graph = gnp_graph(120, 0.5, 1);
  WhcrOptions options = solver_options(1, 16, 5);
  options.hypertune = true;
  WhcrSolver solver(graph, options);
  const auto initial = random_coloring(graph.vertex_count(), options.colors, options.seed);
  const WhcrResult first = solver.run(initial, {.iterations = 2000});
  const WhcrResult second = solver.run(initial, {.iterations = 2000});
  CHECK(first.hypertune_actions > 0);
  CHECK(second.hypertune_actions == first.hypertune_actions);
  CHECK(second.total.moves == first.total.moves);
}

TEST_CASE("hypertune of WHCR: full rings lose the wish to recombine, or long slices the limit") {
  const Graph graph = gnp_graph(120, 0.5, 1);
  WhcrOptions options = solver_options(12, 16, 5);
  options.hypertune = true;
  const WhcrResult wide = solve(graph, options, 1000);
  options.context.config_slots = 2;
  options.context.telemetry_slots = 4;
  options.context.cpu_threads = 2;
  const WhcrResult narrow = solve(graph, options, 1000);
  CHECK(narrow.hypertune_actions > wide.hypertune_actions / 2);
  options.hypertune_options = stall_answer(Kind::adjust_iterations, 4);
  const WhcrResult longer = solve(graph, options, 1000);
  CHECK(longer.total.iterations >= 12'000);
  CHECK(longer.total.iterations < 12'000 + 12 * 1600);
}

TEST_CASE("hypertune of WHCR: what controllers solved before is not solved any more") {
  const Graph graph = gnp_graph(200, 0.5, 1);
  WhcrOptions options = solver_options(8, 24, 4000);  // hard; of 14 seeds one that is solved early
  CHECK(solve(graph, options, 9000).conflicts > 0);
  options.hypertune = true;
  CHECK(solve(graph, options, 9000).conflicts == 0);
}

}  // namespace aatgs::coloring::test
