// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/run_telemetry.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <algorithm>
#include <filesystem>
#include <optional>

#include "turns.hpp"
#include "watching.hpp"

namespace aatgs::bench {

namespace {

using coloring::WhcrOptions;
using coloring::WhcrResult;
using coloring::WhcrSlice;
using coloring::WhcrSolver;

constexpr double slice_us = 90;  // and the hand-off: 10,000 slices a second or more

WhcrOptions search_options(const Plan& plan, std::uint32_t slice) {
  WhcrOptions options;
  options.context = plan.context;
  options.context.executor = ExecutorKind::resident;
  options.context.scope = Scope::block;
  options.colors = 14;  // too few for a legal coloring, which would end the search
  options.searches = 1;
  options.slice = slice;
  return options;
}

/// The file of records, gone at the end.
class TelemetryFile {
 public:
  TelemetryFile()
      : path_(std::filesystem::temp_directory_path() /
              ("aatgs_bench_" + std::to_string(::getpid()) + ".jsonl")) {}
  ~TelemetryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TelemetryFile(const TelemetryFile&) = delete;
  TelemetryFile& operator=(const TelemetryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The same search again and again, which makes the same moves each time.
class Search {
 public:
  Search(const Plan& plan, std::uint32_t slice)
      : graph_(coloring::load_graph("gnp:125:0.5:1")),
        options_(search_options(plan, slice)),
        solver_(graph_.graph, options_),
        initial_(coloring::random_coloring(graph_.graph.vertex_count(), options_.colors,
                                           options_.seed)) {}

  /// Microseconds of a slice, of so many.
  double us_of_slice(std::uint64_t slices,
                     const std::function<void(const WhcrSlice&)>& each_slice = {}) {
    const coloring::WhcrLimits limits{.iterations = slices * options_.slice};
    const WhcrResult result = solver_.run(initial_, limits, {}, each_slice);
    if (result.total.iterations != limits.iterations) {
      throw Error("WHCR ended before its time: telemetry's cost cannot be measured, report this");
    }
    return result.total.seconds * 1e6 / static_cast<double>(slices);
  }

  /// With a record of each slice; the handle is made and finalized outside the time taken.
  double us_of_recorded_slice(std::uint64_t slices) {
    TelemetryOptions options;
    options.file = file_.path();
    options.replace = true;
    TelemetryHandle telemetry(options);
    RunMetric metric;
    metric.phase = phase::whcr;
    metric.chromatic_number = options_.colors;
    metric.parameters = R"({"slice":)" + std::to_string(options_.slice) + "}";
    const double us = us_of_slice(slices, [&](const WhcrSlice& slice) {
      metric.execution = PhaseExecution::gpu_ticket(slice.ticket);
      metric.conflicts = slice.conflicts;
      metric.duration_ms = static_cast<double>(slice.duration_ns) / 1e6;
      telemetry.record(metric);
      ++metric.step;
    });
    const TelemetryStatus status = telemetry.finalize();
    if (status.written != slices) {
      throw Error("of " + std::to_string(slices) + " records only " +
                  std::to_string(status.written) + " are in " + options.file.string() +
                  (status.last_error.empty() ? "" : " (" + status.last_error + ")") +
                  ": set TMPDIR to a folder on a faster disk with room");
    }
    return us;
  }

 private:
  TelemetryFile file_;
  coloring::NamedGraph graph_;
  WhcrOptions options_;
  WhcrSolver solver_;
  std::vector<coloring::Color> initial_;
};

std::uint32_t slice_for(const Plan& plan) {
  constexpr std::uint32_t trial = 8;
  Search search(plan, trial);
  (void)search.us_of_slice(500);
  const double iteration_us = search.us_of_slice(500) / trial;
  return static_cast<std::uint32_t>(std::max(1.0, slice_us / iteration_us));
}

}  // namespace

void measure_telemetry(const Plan& plan, Report& report) {
  if (!plan.wants("watch/telemetry") && !plan.wants("watch/telemetry_records")) return;
  Search search(plan, slice_for(plan));
  const auto slices = static_cast<std::uint64_t>(2 * plan.seconds * 1e6 / slice_us);
  Turns turns = in_turns(plan, 160, [&](bool on) {
    return on ? search.us_of_recorded_slice(slices) : search.us_of_slice(slices);
  });
  std::vector<double> records;
  for (const double us : turns.watched) records.push_back(1e3 / us);
  add_turns(report, "telemetry", "a slice of a WHCR search, a record of each", std::move(turns));
  report.add(figure({.group = "watch", .road = "telemetry_records"}, "k/s",
                    "records a second, all of them written", std::move(records)));
}

}  // namespace aatgs::bench
