// SPDX-License-Identifier: Apache-2.0
// aatgs_whcr: repairs a random coloring of a graph until no edge has two ends of one color.
#include <unistd.h>

#include <aatgs/host/ring_advice.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <aatgs/integrations/coloring/whcr_hypertune.hpp>
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <cstdio>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "gpu_table.hpp"
#include "program.hpp"
#include "whcr_devices.hpp"
#include "whcr_telemetry.hpp"

namespace {

using aatgs::ExecutorKind;
using aatgs::RunTrace;
using aatgs::coloring::Color;
using aatgs::coloring::NamedGraph;
using aatgs::coloring::WhcrOptions;
using aatgs::coloring::WhcrProblem;
using aatgs::coloring::WhcrProgress;
using aatgs::coloring::WhcrResult;
using aatgs::coloring::WhcrSlice;
using aatgs::coloring::WhcrSolver;
using aatgs::program::Configuration;

/// What is given of the controllers' thresholds.
struct Hypertune {
  std::optional<std::uint32_t> window_records;
  std::optional<std::uint64_t> stall_iterations;
  std::optional<std::uint32_t> patience;
  std::optional<double> efficiency;
  std::optional<std::uint64_t> high_conflicts;
};

struct Settings {
  std::string graph;
  std::string output;
  std::string json;
  double time_limit = 60;
  std::uint64_t iterations = 0;
  std::string telemetry;
  bool replace_telemetry = false;
  std::uint64_t rotate_bytes = 0;
  std::string trace;
  std::optional<std::string> devices;
  bool compare = false;
  std::optional<std::uint64_t> compare_iterations;
  Hypertune hypertune;
  WhcrOptions whcr;
};

std::string check_rotate_bytes(const std::string& text) {
  std::uint64_t bytes = 0;
  if (CLI::detail::lexical_cast(text, bytes) && (bytes == 0 || bytes >= 16'384)) return {};
  return "'" + text + "': give 0, for one file, or at least 16384";
}

void define_problem(Configuration& config, Settings& s) {
  const auto whole = aatgs::program::whole_number();
  auto table = config.table("initial_coloring");
  table.add({"graph", "--graph"}, s.graph, aatgs::coloring::graph_spec_help())->required();
  table.add({"colors", "--colors"}, s.whcr.colors, "number of colors k")
      ->required()
      ->check(whole & CLI::Range(1U, WhcrProblem::max_colors));
  table.add({"seed", "--seed"}, s.whcr.seed, "seed of colorings and searches")->check(whole);
}

void define_search(Configuration& config, Settings& s) {
  const auto whole = aatgs::program::whole_number();
  auto table = config.table("iterative");
  table
      .add({"searches", "--searches"}, s.whcr.searches,
           "block scope: independent searches; 0: automatic")
      ->check(whole & CLI::Range(0, 65'536));
  table.add({"slice", "--slice"}, s.whcr.slice, "iterations of one config; 0: automatic")
      ->check(whole & CLI::Range(0, 1'000'000'000));
  table.add({"iterations", "--iterations"}, s.iterations, "of each search; 0: no limit")
      ->check(whole);
  table.add({"time_limit", "--time-limit"}, s.time_limit, "seconds")
      ->check(aatgs::program::seconds());
}

void define_hypertune(Configuration& config, Settings& s) {
  const auto whole = aatgs::program::whole_number();
  Hypertune& h = s.hypertune;
  auto table = config.table("hypertune");
  table.add({"enabled", "--hypertune"}, s.whcr.hypertune,
            "controllers tune the searches while they run");
  table
      .add({"window_records", "--hypertune-window"}, h.window_records,
           "slices that a controller looks back over")
      ->check(whole & CLI::Range(1U, aatgs::HypertuneController::longest_window));
  table
      .add({"stall_iterations", "--hypertune-stall"}, h.stall_iterations,
           "iterations without fewer conflicts that are a stall")
      ->check(whole & CLI::Range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()));
  table
      .add({"patience", "--hypertune-patience"}, h.patience,
           "a stall is up to so many times as long at first")
      ->check(whole & CLI::Range(1U, std::numeric_limits<std::uint32_t>::max()));
  table
      .add({"efficiency", "--hypertune-efficiency"}, h.efficiency,
           "share of moves that add no conflict, below which it is low")
      ->check(aatgs::program::share());
  table
      .add({"high_conflicts", "--hypertune-conflicts"}, h.high_conflicts,
           "conflicts above which there are many")
      ->check(whole);
}

void define_telemetry(Configuration& config, Settings& s) {
  auto table = config.table("telemetry");
  table.add({"file", "--telemetry"}, s.telemetry, "write a record of each slice (JSONL)")
      ->type_name("FILE");
  table.add({"replace", "--telemetry-replace"}, s.replace_telemetry, "also if the file is there");
  table
      .add({"rotate_bytes", "--telemetry-rotate"}, s.rotate_bytes,
           "go on in another file after so many bytes; 0: never")
      ->check(aatgs::program::whole_number())
      ->check(check_rotate_bytes)
      ->type_name("BYTES");
  table
      .add({"trace", "--trace"}, s.trace,
           "write what the host queued and the executor ran, for ui.perfetto.dev")
      ->type_name("FILE");
}

void define(CLI::App& app, Configuration& config, Settings& s) {
  define_problem(config, s);
  define_search(config, s);
  aatgs::program::GpuTable(config, s.whcr.context)
      .device()
      .executor()
      .buffer_slots()
      .scope()
      .rings()
      .workers()
      .hot_window()
      .cpu_threads()
      .park_after()
      .bounded()
      .events();
  config.table("gpu")
      .add({"devices", "--devices"}, s.devices,
           "searches on several devices at once, the first legal coloring ends all: ordinals such "
           "as 0,1 or 'all'; --device counts for nothing then")
      ->check(aatgs::examples::why_no_devices)
      ->type_name("LIST");
  define_hypertune(config, s);
  define_telemetry(config, s);
  app.add_flag("--compare", s.compare,
               "run launch, graph and resident on the same work and print the table");
  app.add_option("--compare-iterations", s.compare_iterations,
                 "iterations of each search with it; 200")
      ->check(aatgs::program::whole_number());
  app.add_option("--output", s.output, "write one color per line, 0-based, in vertex order")
      ->type_name("FILE");
  app.add_option("--json", s.json, "write the report for machines")->type_name("FILE");
  app.footer(
      "Examples:\n  aatgs_whcr --graph queen:8 --colors 9\n"
      "  aatgs_whcr --graph DSJC125.5.col --colors 18 --output colors.txt\n"
      "  aatgs_whcr --graph gnp:200000:0.00005:1 --colors 6 --scope grid\n"
      "  aatgs_whcr --graph DSJC125.5.col --colors 17 --devices all\n"
      "  aatgs_whcr --config run.toml --telemetry run.jsonl --trace run.trace.json\n"
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
  if (s.iterations != 0) limits.iterations = s.iterations;
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
  if (r.hypertune_actions != 0) {
    std::printf("hypertune     %llu actions, %llu of them paid\n",
                static_cast<unsigned long long>(r.hypertune_actions),
                static_cast<unsigned long long>(r.hypertune_paid));
  }
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
          {"hypertune_actions", r.hypertune_actions},
          {"hypertune_paid", r.hypertune_paid},
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

aatgs::TelemetryOptions telemetry_of(const Settings& s, const Configuration& config) {
  aatgs::TelemetryOptions options;
  options.file = s.telemetry;
  options.replace = s.replace_telemetry;
  options.rotate_bytes = s.rotate_bytes;
  options.options_json = config.json();
  return options;
}

/// The thresholds that suit the searches, but for those that were given.
std::optional<aatgs::HypertuneOptions> hypertune_of(const Settings& s) {
  const Hypertune& h = s.hypertune;
  if (!h.window_records && !h.stall_iterations && !h.patience && !h.efficiency &&
      !h.high_conflicts) {
    return std::nullopt;
  }
  if (!s.whcr.hypertune) {
    throw aatgs::OptionError("thresholds of hypertune without --hypertune: give that, too");
  }
  constexpr std::uint32_t several = 264;  // whatever number is chosen later
  auto options = aatgs::coloring::whcr_hypertune_options(
      s.whcr.searches != 0 ? s.whcr.searches : several, s.whcr.slice != 0 ? s.whcr.slice : 100);
  options.window_records = h.window_records.value_or(options.window_records);
  options.stall_iterations = h.stall_iterations.value_or(options.stall_iterations);
  options.patience = h.patience.value_or(options.patience);
  options.efficiency = h.efficiency.value_or(options.efficiency);
  options.high_conflicts = h.high_conflicts.value_or(options.high_conflicts);
  check_options(options);
  return options;
}

/// The clock of CPU threads is the host's.
RunTrace trace_of(const Settings& s) {
  constexpr std::size_t most_slices = 200'000;  // some 120 MB of text, which viewers still open
  const auto choice = choose_executor(s.whcr.context.executor, s.whcr.context.device);
  return RunTrace(is_on_host(choice.kind), most_slices);
}

void write_trace(const Settings& s, const RunTrace& trace) {
  aatgs::program::write_file(s.trace, trace.to_chrome());
  std::printf("trace         %zu slices in %s, %llu later ones left out\n", trace.size(),
              s.trace.c_str(), static_cast<unsigned long long>(trace.left_out()));
}

int solve(const Settings& s, const Configuration& config, const NamedGraph& g,
          const std::vector<Color>& initial) {
  std::optional<WhcrTelemetry> telemetry;
  RunTrace trace = trace_of(s);
  WhcrOptions options = s.whcr;
  if (!s.trace.empty()) options.trace = &trace;
  options.hypertune_report = [&](const aatgs::RunMetric& metric) {
    if (telemetry) telemetry->record(metric);
  };
  WhcrSolver solver(g.graph, options);
  std::function<void(const WhcrSlice&)> each_slice;
  if (!s.telemetry.empty()) {
    telemetry.emplace(telemetry_of(s, config), options, solver);
    each_slice = [&](const WhcrSlice& slice) { telemetry->record(slice); };
  }
  std::printf("executor      %s\nsearches      %u, slices of %u iterations\n",
              solver.description().c_str(), solver.searches(), solver.slice());
  aatgs::program::flush_output();
  WhcrResult result;
  {
    ProgressLine line;
    result = solver.run(
        initial, limits_of(s), [&](const WhcrProgress& p) { line.show(p); }, each_slice);
  }
  print_report(result);
  if (telemetry) telemetry->finish();
  if (options.trace != nullptr) write_trace(s, trace);
  if (!s.output.empty()) aatgs::coloring::write_coloring(s.output, result.colors);
  write_json(s, g, {{solver.description(), to_json(result)}});
  return result.conflicts == 0 ? 0 : 1;
}

int solve_on_devices(const Settings& s, const NamedGraph& g, const std::vector<Color>& initial) {
  const auto devices = aatgs::examples::parse_devices(*s.devices, s.whcr.context.executor);
  aatgs::coloring::WhcrPortfolioResult result;
  {
    ProgressLine line;
    result = run_whcr_portfolio(g.graph, s.whcr, devices, initial, limits_of(s),
                                [&](const WhcrProgress& p) { line.show(p); });
  }
  aatgs::examples::print_parts(result);
  print_report(result.best);
  if (!s.output.empty()) aatgs::coloring::write_coloring(s.output, result.best.colors);
  nlohmann::ordered_json run = to_json(result.best);
  run["devices"] = aatgs::examples::to_json(result.parts);
  write_json(s, g, {{"portfolio", std::move(run)}});
  return result.best.conflicts == 0 ? 0 : 1;
}

/// The same searches with the same slices on three executors. They must come to the same conflicts.
int compare(const Settings& s, const NamedGraph& g, const std::vector<Color>& initial) {
  aatgs::coloring::WhcrLimits limits = limits_of(s);
  limits.iterations = s.compare_iterations.value_or(200);
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

/// What would do nothing, or cannot be had, together.
void check_together(const Settings& s) {
  if (s.compare_iterations && !s.compare) {
    throw aatgs::OptionError("--compare-iterations without --compare: give both");
  }
  if (s.compare && !s.output.empty()) {
    throw aatgs::OptionError("--output with --compare, which keeps no coloring: leave one out");
  }
  if (s.compare && !s.telemetry.empty()) {
    throw aatgs::OptionError("--telemetry with --compare, which makes several runs: leave one out");
  }
  if (s.compare && !s.trace.empty()) {
    throw aatgs::OptionError("--trace with --compare, which makes several runs: leave one out");
  }
  if (s.devices && (s.compare || !s.telemetry.empty() || !s.trace.empty())) {
    throw aatgs::OptionError(
        "--devices with --compare, --telemetry or --trace, which are of one context: leave it out");
  }
  if (s.whcr.context.event_slots != 0 && s.trace.empty()) {
    throw aatgs::OptionError("--event-slots without --trace, which shows the events: give both");
  }
  if (s.compare) aatgs::program::require_gpu("--compare", s.whcr.context.device);
}

void check_files(const Settings& s) {
  aatgs::program::require_distinct({{"--graph", s.graph},
                                    {"--output", s.output},
                                    {"--json", s.json},
                                    {"--trace", s.trace},
                                    {"--telemetry", s.telemetry}});
  aatgs::program::require_writable(s.output);
  aatgs::program::require_writable(s.json);
  aatgs::program::require_writable(s.trace);
}

int run(Settings s, const Configuration& config) {
  s.whcr.hypertune_options = hypertune_of(s);  // checked before any file is written
  check_together(s);
  check_files(s);
  const NamedGraph g = aatgs::coloring::load_graph(s.graph);
  for (const std::string& warning : g.warnings) std::cerr << "aatgs_whcr: " << warning << "\n";
  std::printf("graph         %s: %u vertices, %zu edges, %u colors\n", g.name.c_str(),
              g.graph.vertex_count(), g.graph.edge_count(), s.whcr.colors);
  const auto initial =
      aatgs::coloring::random_coloring(g.graph.vertex_count(), s.whcr.colors, s.whcr.seed);
  if (s.devices) return solve_on_devices(s, g, initial);
  return s.compare ? compare(s, g, initial) : solve(s, config, g, initial);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Repairs a random coloring of a graph with k colors on a GpuExecutionContext",
               "aatgs_whcr");
  Configuration config(app);
  define(app, config, settings);
  return run(config, argc, argv, [&] { return run(settings, config); });
}
