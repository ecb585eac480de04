// SPDX-License-Identifier: Apache-2.0
// aatgs_bench: floors and roads side by side in one run.
#include <cuda_runtime_api.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>

#include <aatgs/host/errors.hpp>

#include "floors.hpp"
#include "report.hpp"
#include "roads.hpp"

namespace aatgs::bench {
namespace {

struct Settings {
  std::string json;
  bool quick = false;
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

ContextOptions with(ContextOptions options, ExecutorKind executor, Scope scope) {
  options.executor = executor;
  options.scope = scope;
  return options;
}

void measure(const Settings& settings, Report& report) {
  const unsigned scale = settings.quick ? 10 : 1;
  const auto add = [&](const Figure& f) {
    std::cerr << f.name << ": " << f.p50 << "\n";
    report.figures.push_back(f);
  };
  const auto resident = [&](Scope scope) {
    return with(settings.context, ExecutorKind::resident, scope);
  };
  const int device = settings.context.device;
  add(flag_ping_pong(device, 50'000 / scale));
  add(grid_barrier(device, 64, 200 / scale));
  for (const Scope scope : {Scope::block, Scope::grid}) {
    for (const auto executor : {ExecutorKind::launch, ExecutorKind::graph}) {
      add(closed_loop(with(settings.context, executor, scope), 10'000 / scale));
    }
    add(closed_loop(resident(scope), 50'000 / scale));
    add(fed(resident(scope), 16, 100 / scale));
  }
  add(throughput(resident(Scope::block), 200 / scale));

  auto& checks = report.checks;
  const double ping_pong = report.get("floor_ping_pong").p50;
  const double barrier = report.get("floor_grid_barrier").p50;
  checks["roundtrip_block"] = report.get("closed_loop_resident_block").p50 / ping_pong;
  checks["roundtrip_grid"] = report.get("closed_loop_resident_grid").p50 / ping_pong;
  checks["grid_step"] = report.get("fed16_resident_grid").p50 / barrier;
  checks["configs_per_s_1"] = report.get("throughput_resident_block").p50 * 1e6;
}

int run(const Settings& settings) {
  const std::string obstacle = why_no_gpu(settings.context.device);
  if (!obstacle.empty()) {
    std::cerr << "aatgs_bench measures a GPU: " << obstacle << "\n";
    return 1;
  }
  std::ofstream json;
  if (!settings.json.empty()) {
    json.open(settings.json);
    if (!json) throw InputError(settings.json + ": cannot be written");
  }
  Report report;
  report.machine = gpu_name(settings.context.device);
  report.driver = driver_version();
  report.date = utc_now();
  measure(settings, report);
  std::cout << to_table(report);
  if (json.is_open()) json << to_json(report);
  return 0;
}

}  // namespace
}  // namespace aatgs::bench

int main(int argc, char** argv) {
  aatgs::bench::Settings settings;
  CLI::App app("Measures what a hand-off to the GPU costs by each road, beside the hardware's floors");
  app.footer("Example: aatgs_bench --json h200.json");
  app.add_option("--json", settings.json, "write the result to this file")->type_name("FILE");
  app.add_flag("--quick", settings.quick, "a tenth of the samples");
  app.add_option("--device", settings.context.device, "CUDA ordinal");
  app.add_option("--hot-window", settings.context.hot_window,
                 "block scope: workers that poll the bus at a time");
  app.add_option("--workers", settings.context.workers, "blocks that run steps; 0: all that fit");
  app.add_option("--config-slots", settings.context.config_slots, "slots of the config ring");
  app.add_option("--telemetry-slots", settings.context.telemetry_slots,
                 "slots of the telemetry ring");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    return aatgs::bench::run(settings);
  } catch (const aatgs::InputError& e) {
    std::cerr << "aatgs_bench: " << e.what() << "\n";
    return 2;
  } catch (const aatgs::OptionError& e) {
    std::cerr << "aatgs_bench: " << e.what() << "\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "aatgs_bench: " << e.what() << "\n";
    return 1;
  }
}
