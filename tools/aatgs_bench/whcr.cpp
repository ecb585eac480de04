// SPDX-License-Identifier: Apache-2.0
#include "whcr.hpp"

#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <cmath>
#include <filesystem>
#include <utility>

namespace aatgs::bench {

namespace {

using coloring::Color;
using coloring::WhcrOptions;
using coloring::WhcrResult;
using coloring::WhcrSolver;

constexpr std::uint32_t colors = 18;

struct Instance {
  coloring::NamedGraph graph;
  std::string name;
  std::string what;
};

/// DSJCn.5, or a generated graph like it.
Instance load_instance(const std::string& folder, const std::string& n) {
  const std::string name = "DSJC" + n + ".5";
  const std::filesystem::path file = std::filesystem::path(folder) / (name + ".col");
  if (!folder.empty() && std::filesystem::exists(file)) {
    return {coloring::load_graph(file.string()), name, name};
  }
  return {coloring::load_graph("gnp:" + n + ":0.5:1"), "G" + n + ".5",
          "a generated G(" + n + ", 0.5), as " + name + ".col was not there"};
}

/// Searches and iterations of each. Few enough that no search finds a legal coloring: from then on
/// it would depend on the executor how far the others still go.
struct Load {
  const char* suffix;
  std::uint32_t searches;
  std::uint64_t iterations;
};
constexpr Load portfolio{"", 264, 100};
constexpr Load single{"_single", 1, 2000};

/// What must not depend on the executor.
struct Outcome {
  std::vector<std::uint32_t> conflicts;  ///< of each search
  std::vector<Color> colors;             ///< of the best
  std::uint64_t moves = 0;
  bool operator==(const Outcome&) const = default;
};

class Runs {
 public:
  Runs(const Instance& instance, const WhcrOptions& options, std::uint64_t iterations)
      : solver_(instance.graph.graph, options),
        initial_(coloring::random_coloring(instance.graph.graph.vertex_count(), options.colors,
                                           options.seed)) {
    limits_.iterations = iterations;
  }

  /// Microseconds per iteration of one run from the first coloring.
  double us_per_iteration() {
    WhcrResult result = solver_.run(initial_, limits_);
    if (result.total.iterations != solver_.searches() * limits_.iterations) {
      throw Error("WHCR made " + std::to_string(result.total.iterations) + " iterations, not " +
                  std::to_string(solver_.searches() * limits_.iterations) +
                  ": it was solved or ran out of time, so executors cannot be compared");
    }
    outcome_ = {solver_.conflicts_by_search(), std::move(result.colors), result.total.moves};
    return result.total.seconds * 1e6 / static_cast<double>(result.total.iterations);
  }
  [[nodiscard]] const Outcome& outcome() const { return outcome_; }

 private:
  WhcrSolver solver_;
  std::vector<Color> initial_;
  coloring::WhcrLimits limits_;
  Outcome outcome_;
};

/// For about 20 times the plan's time per figure, because one run gives one sample; warmed up.
std::vector<double> sample_runs(Runs& runs, double iterations, double seconds) {
  const double run_us = runs.us_per_iteration() * iterations;
  const double fit = 20 * seconds * 1e6 / run_us;
  std::vector<double> us(fit < 5 ? 5 : fit > 100 ? 100 : static_cast<std::size_t>(fit));
  for (double& sample : us) sample = runs.us_per_iteration();
  return us;
}

void measure_load(const Plan& plan, Report& report, const Instance& instance, const Load& load) {
  Outcome expected;
  for (const auto kind : {ExecutorKind::launch, ExecutorKind::graph, ExecutorKind::resident}) {
    const Case of{.group = "whcr_" + instance.name + load.suffix,
                  .road = std::string(to_string(kind))};
    if (!plan.wants(of.name())) continue;
    WhcrOptions options;
    options.context = plan.context;
    options.context.executor = kind;
    options.context.scope = Scope::block;
    options.colors = colors;
    options.searches = load.searches;
    options.slice = 1;
    Runs runs(instance, options, load.iterations);
    const auto iterations = static_cast<double>(load.searches * load.iterations);
    report.add(figure(of, "us",
                      "per iteration, slices of one, " + std::to_string(load.searches) +
                          (load.searches == 1 ? " search, " : " searches, ") +
                          std::to_string(colors) + " colors, " + instance.what,
                      sample_runs(runs, iterations, plan.seconds)));
    if (expected.conflicts.empty()) expected = runs.outcome();
    if (runs.outcome() != expected) {
      throw Error("WHCR makes other moves on the executor " + of.road + ": report this");
    }
  }
}

/// Milliseconds from a random coloring to a legal one.
double solve_ms(const Instance& instance, const WhcrOptions& options) {
  WhcrSolver solver(instance.graph.graph, options);
  const auto initial =
      coloring::random_coloring(instance.graph.graph.vertex_count(), options.colors, options.seed);
  const WhcrResult result = solver.run(initial, {.time = std::chrono::seconds(20)});
  if (result.conflicts != 0) {
    throw Error("WHCR with seed " + std::to_string(options.seed) + " found no coloring of " +
                instance.name + " with " + std::to_string(options.colors) + " colors in 20 s");
  }
  return result.total.seconds * 1e3;
}

/// The fixed default parameters and the controllers in turns, from the same colorings.
void measure_hypertune(const Plan& plan, Report& report) {
  constexpr std::uint64_t seeds = 20;
  const Case fixed{.group = "whcr_hypertune_k29", .road = "fixed"};
  const Case tuned{.group = fixed.group, .road = "hypertune"};
  if (!plan.wants(fixed.name()) && !plan.wants(tuned.name())) return;
  const Instance instance = load_instance(plan.dimacs, "250");
  WhcrOptions options;
  options.context = plan.context;
  options.context.executor = ExecutorKind::resident;
  options.context.scope = Scope::block;
  options.colors = 29;
  std::vector<double> ms[2];
  for (std::uint64_t i = 0; i < seeds; ++i) {
    options.seed = 1 + i * 100'000;  // the searches of a run have its seed, the next number, ...
    for (const bool hypertune : {false, true}) {
      options.hypertune = hypertune;
      ms[hypertune ? 1 : 0].push_back(solve_ms(instance, options));
    }
  }
  const std::string what =
      "to a coloring with 29 colors, default options, 20 seeds, " + instance.what + ", ";
  report.add(figure(fixed, "ms", what + "fixed parameters", ms[0]));
  report.add(figure(tuned, "ms", what + "with controllers", ms[1]));
}

}  // namespace

void measure_whcr(const Plan& plan, Report& report) {
  measure_hypertune(plan, report);
  const Instance instance = load_instance(plan.dimacs, "125");
  measure_load(plan, report, instance, portfolio);
  measure_load(plan, report, instance, single);
}

std::optional<double> whcr_over_resident(const Report& report, const std::string& executor,
                                         bool of_single) {
  for (const Figure& f : report.figures) {
    if (!f.of.group.starts_with("whcr_") || f.of.group.ends_with(single.suffix) != of_single) {
      continue;
    }
    const auto other = report.median(f.of.group + "/" + executor);
    if (f.of.road == our_road && other) return *other / f.p50;
  }
  return std::nullopt;
}

}  // namespace aatgs::bench
