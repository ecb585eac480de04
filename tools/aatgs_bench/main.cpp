// SPDX-License-Identifier: Apache-2.0
// aatgs_bench: floors and roads side by side in one run.
#include <cuda_runtime_api.h>

#include <aatgs/host/errors.hpp>
#include <cstdlib>
#include <ctime>
#include <iostream>

#include "bfs.hpp"
#include "cg.hpp"
#include "checks.hpp"
#include "coloring.hpp"
#include "floors.hpp"
#include "gpu_table.hpp"
#include "jacobi.hpp"
#include "parking.hpp"
#include "program.hpp"
#include "report.hpp"
#include "roads.hpp"
#include "second_process.hpp"
#include "sptrsv.hpp"
#include "stream_overlap.hpp"
#include "stream_peers.hpp"
#include "stream_pools.hpp"
#include "stream_triple.hpp"
#include "tasks.hpp"
#include "watching.hpp"
#include "whcr.hpp"

namespace aatgs::bench {
namespace {

struct Settings {
  std::string json;
  std::string only;
  std::string dimacs;
  bool quick = false;
  bool second_process = false;  ///< it was started by `measure_parking`
  ContextOptions context;
};

std::string driver_version() {
  int version = 0;
  cudaDriverGetVersion(&version);
  return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::regex parse_only(const std::string& only) {
  constexpr std::size_t longest_pattern = 1000;  // std::regex recurses as deep as a pattern is long
  if (only.size() > longest_pattern) {
    throw InputError("--only of " + std::to_string(only.size()) + " characters: give at most " +
                     std::to_string(longest_pattern));
  }
  try {
    return std::regex(only);
  } catch (const std::regex_error& e) {
    throw InputError("--only '" + only + "' is not a regular expression: " + e.what());
  }
}

Plan make_plan(const Settings& settings) {
  Plan plan;
  plan.context = settings.context;
  plan.dimacs = settings.dimacs;
  plan.only = parse_only(settings.only);
  plan.seconds = settings.quick ? 0.01 : 0.05;
  plan.rounds = settings.quick ? 1 : 3;
  plan.spin_us = {0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10'000};
  plan.stream_us = {1, 3, 10, 30, 100, 300, 1000};
  if (settings.quick) {
    plan.spin_us = {0, 3, 10, 100, 1000};
    plan.stream_us = {10, 100};
  }
  return plan;
}

std::string describe(const Settings& settings) {
  const ContextOptions& c = settings.context;
  return std::string(settings.quick ? "quick, " : "") + "device " + std::to_string(c.device) +
         ", hot_window " + std::to_string(c.hot_window) + ", workers " + std::to_string(c.workers) +
         ", config_slots " + std::to_string(c.config_slots) + ", telemetry_slots " +
         std::to_string(c.telemetry_slots) +
         (settings.only.empty() ? "" : ", only '" + settings.only + "'");
}

/// What is compared within a few percent, one round after the other.
void measure_in_rounds(Plan plan, Report& report) {
  plan.seconds /= plan.rounds;
  Widths widths;
  for (int round = 1; round <= plan.rounds; ++round) {
    std::cerr << "round " << round << " of " << plan.rounds << std::endl;
    measure_floors(plan, report);
    measure_sweeps(plan, report);
    measure_roads(plan, report, widths);
  }
}

int run(const Settings& settings) {
  // As many hardware queues as there are: the roads on many streams would wait for each other.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  check_options(settings.context);
  if (settings.second_process) return be_second_process(settings.context.device);
  const Plan plan = make_plan(settings);
  program::require_writable(settings.json);
  const std::string obstacle = why_no_gpu(settings.context.device);
  if (!obstacle.empty()) {
    throw DeviceError("aatgs_bench measures a GPU: " + obstacle, "cudaErrorNoDevice");
  }
  Report report;
  report.machine = gpu_name(settings.context.device);
  report.driver = driver_version();
  report.date = utc_now();
  report.settings = describe(settings);
  measure_in_rounds(plan, report);
  measure_parking(plan, report);
  measure_cg(plan, report);
  measure_sptrsv(plan, report);
  measure_jacobi(plan, report);
  measure_whcr(plan, report);
  measure_tasks(plan, report);
  measure_bfs(plan, report);
  measure_coloring(plan, report);
  measure_stream_pools(plan, report);
  measure_stream_overlap(plan, report);
  measure_stream_triple(plan, report);
  measure_watching(plan, report);
  measure_stream_peers(plan, report);  // last: peer access stays on for the process
  if (report.figures.empty()) {
    throw InputError("--only '" + settings.only +
                     "' matches no figure that can be measured here; " +
                     "names look like fed16/spin/grid/10us/resident or floor/ping_pong");
  }
  fill_checks(report);
  program::write_file(settings.json, to_json(report));
  std::cout << to_table(report);
  return 0;
}

void define(CLI::App& app, program::Configuration& config, Settings& settings) {
  auto table = config.table("bench");
  table.add({"quick", "--quick"}, settings.quick, "fewer samples and step lengths");
  table
      .add({"only", "--only"}, settings.only,
           "only the figures whose name contains a match of this")
      ->check(program::accepted_by(parse_only))
      ->type_name("REGEX");
  table
      .add({"dimacs", "--dimacs", "AATGS_DIMACS_DIR"}, settings.dimacs,
           "folder with DSJC125.5.col; without that a generated graph takes its place")
      ->type_name("DIR");
  program::GpuTable(config, settings.context).device().hot_window().workers().rings();
  app.add_option("--json", settings.json, "write the result to this file")->type_name("FILE");
  app.add_flag("--second-process", settings.second_process)->group("");
  app.footer(
      "Example: aatgs_bench --json h200.json\n"
      "Exit status: 0 measured; 1 a failure, such as no GPU; 2 wrong input or options");
}

}  // namespace
}  // namespace aatgs::bench

int main(int argc, char** argv) {
  aatgs::bench::Settings settings;
  CLI::App app(
      "Measures what a hand-off to the GPU costs by each road, beside the hardware's floors",
      "aatgs_bench");
  aatgs::program::Configuration config(app);
  define(app, config, settings);
  return run(config, argc, argv, [&] { return aatgs::bench::run(settings); });
}
