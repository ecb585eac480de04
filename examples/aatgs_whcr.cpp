// SPDX-License-Identifier: Apache-2.0
// aatgs_whcr: repairs a random coloring of a graph until no edge has two ends of one color.
#include <unistd.h>

#include <aatgs/host/ring_advice.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace {

using aatgs::ExecutorKind;
using aatgs::coloring::Color;
using aatgs::coloring::NamedGraph;
using aatgs::coloring::WhcrOptions;
using aatgs::coloring::WhcrProgress;
using aatgs::coloring::WhcrResult;
using aatgs::coloring::WhcrSolver;

struct Settings {
  std::string graph;
  std::string executor = "automatic";
  std::string scope = "block";
  std::string output;
  std::string json;
  double time_limit = 60;
  bool compare = false;
  std::uint64_t compare_iterations = 200;
  WhcrOptions whcr;
};

constexpr double longest_time_limit = 1e9;

void define(CLI::App& app, Settings& s) {
  const auto whole = aatgs::program::whole_number();
  app.add_option("--graph", s.graph, aatgs::coloring::graph_spec_help())->required();
  app.add_option("--colors", s.whcr.colors, "number of colors k")->required()->check(whole);
  app.add_option("--executor", s.executor, "automatic, resident, launch, graph or cpu");
  app.add_option("--scope", s.scope,
                 "block: many searches on a small graph; grid: one search on a big one");
  app.add_option("--searches", s.whcr.searches, "block scope: independent searches; 0: automatic")
      ->check(whole & CLI::Range(0, 65'536));
  app.add_option("--slice", s.whcr.slice, "iterations of one config; 0: automatic")
      ->check(whole & CLI::Range(0, 1'000'000'000));
  app.add_option("--seed", s.whcr.seed, "seed of colorings and searches")->check(whole);
  app.add_option("--time-limit", s.time_limit, "seconds");
  app.add_option("--config-slots", s.whcr.context.config_slots, "slots of the config ring")
      ->check(whole);
  app.add_option("--telemetry-slots", s.whcr.context.telemetry_slots, "slots of the telemetry ring")
      ->check(whole);
  app.add_flag("--bounded", s.whcr.context.bounded,
               "the resident kernel runs what is queued and ends: for profilers and debuggers");
  app.add_flag("--compare", s.compare,
               "run launch, graph and resident on the same work and print the table");
  app.add_option("--compare-iterations", s.compare_iterations, "iterations of each search with it")
      ->check(whole);
  app.add_option("--output", s.output, "write one color per line, 0-based, in vertex order")
      ->type_name("FILE");
  app.add_option("--json", s.json, "write the report for machines")->type_name("FILE");
  app.footer(
      "Examples:\n  aatgs_whcr --graph queen:8 --colors 9\n"
      "  aatgs_whcr --graph DSJC125.5.col --colors 18 --output colors.txt\n"
      "  aatgs_whcr --graph gnp:200000:0.00005:1 --colors 6 --scope grid\n"
      "  aatgs_whcr --graph DSJC125.5.col --colors 18 --compare --slice 1\n"
      "Exit status: 0 legal; 1 no legal coloring found, or a failure; 2 wrong input or options");
}

/// A line that is written over, on a terminal only.
class ProgressLine {
 public:
  ProgressLine() : shown_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (written_) std::fprintf(stderr, "\r\033[K");
  }
  void show(const WhcrProgress& p) {
    if (!shown_) return;
    written_ = true;
    std::fprintf(stderr, "\r\033[K%6.1f s  %u conflicts  %.3g iterations", p.seconds, p.conflicts,
                 static_cast<double>(p.iterations));
  }

 private:
  bool shown_;
  bool written_ = false;
};

aatgs::coloring::WhcrLimits limits_of(const Settings& s) {
  aatgs::coloring::WhcrLimits limits;
  limits.time = std::chrono::nanoseconds(static_cast<std::int64_t>(s.time_limit * 1e9));
  return limits;
}

void print_ring(const char* name, const aatgs::RingUtilization& ring) {
  std::printf("%s ring   %u slots, mean %.0f %%, peak %.0f %%: %s\n", name, ring.slots,
              100 * ring.mean, 100 * ring.peak, aatgs::ring_advice(ring).c_str());
}

void print_report(const WhcrResult& r) {
  const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
  std::printf("conflicts     %llu -> %llu%s\n", static_cast<unsigned long long>(r.conflicts_before),
              static_cast<unsigned long long>(r.conflicts),
              r.conflicts == 0 ? ", checked: the coloring is legal" : "");
  std::printf("iterations    %llu in %.3f s, %.4g per second; %llu moves\n",
              static_cast<unsigned long long>(r.total.iterations), r.total.seconds,
              static_cast<double>(r.total.iterations) / r.total.seconds,
              static_cast<unsigned long long>(r.total.moves));
  print_ring("config   ", r.stats.config_ring);
  print_ring("telemetry", r.stats.telemetry_ring);
  std::printf("overflows     %llu full config rings, %llu telemetries lost\n",
              static_cast<unsigned long long>(r.stats.config_overflows),
              static_cast<unsigned long long>(r.stats.telemetry_overflows));
  std::printf("latency       queued to visible p50 %.1f us, p99 %.1f us; step p50 %.1f us\n",
              us(r.stats.queue_to_visible.p50_ns), us(r.stats.queue_to_visible.p99_ns),
              us(r.stats.taken_to_finished.p50_ns));
}

nlohmann::ordered_json to_json(const WhcrResult& r) {
  const auto ring = [](const aatgs::RingUtilization& u) {
    return nlohmann::ordered_json{{"slots", u.slots}, {"mean", u.mean}, {"peak", u.peak}};
  };
  return {{"conflicts_before", r.conflicts_before},
          {"conflicts", r.conflicts},
          {"iterations", r.total.iterations},
          {"moves", r.total.moves},
          {"seconds", r.total.seconds},
          {"config_ring", ring(r.stats.config_ring)},
          {"telemetry_ring", ring(r.stats.telemetry_ring)},
          {"config_overflows", r.stats.config_overflows},
          {"telemetry_overflows", r.stats.telemetry_overflows},
          {"queue_to_visible_p50_ns", r.stats.queue_to_visible.p50_ns},
          {"queue_to_visible_p99_ns", r.stats.queue_to_visible.p99_ns}};
}

void write_json(const Settings& s, const NamedGraph& g, nlohmann::ordered_json runs) {
  if (s.json.empty()) return;
  nlohmann::ordered_json document = {{"format", "aatgs-whcr"}, {"version", 1},
                                     {"graph", g.name},        {"colors", s.whcr.colors},
                                     {"seed", s.whcr.seed},    {"runs", std::move(runs)}};
  aatgs::program::write_file(s.json, document.dump(2) + "\n");
}

int solve(const Settings& s, const NamedGraph& g, const std::vector<Color>& initial) {
  WhcrSolver solver(g.graph, s.whcr);
  std::printf("executor      %s\nsearches      %u, slices of %u iterations\n",
              solver.description().c_str(), solver.searches(), solver.slice());
  aatgs::program::flush_output();
  WhcrResult result;
  {
    ProgressLine line;
    result = solver.run(initial, limits_of(s), [&](const WhcrProgress& p) { line.show(p); });
  }
  print_report(result);
  if (!s.output.empty()) aatgs::coloring::write_coloring(s.output, result.colors);
  write_json(s, g, {{solver.description(), to_json(result)}});
  return result.conflicts == 0 ? 0 : 1;
}

/// The same searches with the same slices on three executors. They must come to the same conflicts.
int compare(const Settings& s, const NamedGraph& g, const std::vector<Color>& initial) {
  aatgs::coloring::WhcrLimits limits = limits_of(s);
  limits.iterations = s.compare_iterations;
  std::vector<std::uint32_t> expected;
  double launch_rate = 0;
  nlohmann::ordered_json runs;
  std::printf("%-10s %12s %10s %14s %10s\n", "executor", "iterations", "seconds", "iterations/s",
              "x launch");
  for (const auto kind : {ExecutorKind::launch, ExecutorKind::graph, ExecutorKind::resident}) {
    WhcrOptions options = s.whcr;
    options.context.executor = kind;
    WhcrSolver solver(g.graph, options);
    const WhcrResult result = solver.run(initial, limits);
    const double rate = static_cast<double>(result.total.iterations) / result.total.seconds;
    if (kind == ExecutorKind::launch) launch_rate = rate;
    std::printf("%-10s %12llu %10.3f %14.4g %10.2f\n", std::string(to_string(kind)).c_str(),
                static_cast<unsigned long long>(result.total.iterations), result.total.seconds,
                rate, rate / launch_rate);
    aatgs::program::flush_output();
    runs[solver.description()] = to_json(result);
    if (expected.empty()) expected = solver.conflicts_by_search();
    if (solver.conflicts_by_search() != expected) {
      throw aatgs::Error("the executors came to different conflicts on the same work: report this");
    }
  }
  write_json(s, g, std::move(runs));
  return 0;
}

int run(Settings& s) {
  if (!(s.time_limit > 0 && s.time_limit <= longest_time_limit)) {  // also refuses a NaN
    throw aatgs::OptionError("--time-limit " + std::to_string(s.time_limit) +
                             ": give seconds above 0, up to 1e9");
  }
  if (s.compare && !s.output.empty()) {
    throw aatgs::OptionError("--output with --compare, which keeps no coloring: leave one out");
  }
  aatgs::program::require_writable(s.output);
  aatgs::program::require_writable(s.json);
  s.whcr.context.executor = aatgs::parse_executor(s.executor);
  s.whcr.context.scope = aatgs::parse_scope(s.scope);
  const NamedGraph g = aatgs::coloring::load_graph(s.graph);
  for (const std::string& warning : g.warnings) std::cerr << "aatgs_whcr: " << warning << "\n";
  std::printf("graph         %s: %u vertices, %zu edges, %u colors\n", g.name.c_str(),
              g.graph.vertex_count(), g.graph.edge_count(), s.whcr.colors);
  const auto initial =
      aatgs::coloring::random_coloring(g.graph.vertex_count(), s.whcr.colors, s.whcr.seed);
  return s.compare ? compare(s, g, initial) : solve(s, g, initial);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Repairs a random coloring of a graph with k colors on a GpuExecutionContext",
               "aatgs_whcr");
  define(app, settings);
  return aatgs::program::run(app, argc, argv, [&] { return run(settings); });
}
