// SPDX-License-Identifier: Apache-2.0
// aatgs_soak: a long load with a check of every telemetry.
#include <CLI/CLI.hpp>
#include <aatgs/host/errors.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <regex>

#include "machine.hpp"
#include "report.hpp"

namespace aatgs::soak {
namespace {

constexpr int stuck_status = 3;

/// The command line, before what depends on the machine is filled in.
struct CommandLine {
  std::string executor = "automatic";
  std::string only;
  std::string json;
  std::string be_killed;
  bool quick = false;
  std::optional<std::uint64_t> block, grid, cycles, aborts, kills;
  Settings settings;
};

/// Without a GPU all is far slower.
Counts default_counts(ExecutorKind executor, bool quick) {
  Counts counts;
  if (executor == ExecutorKind::cpu) counts = {1'000'000, 20'000, 200, 100, 3};
  if (!quick) return counts;
  for (auto* count : {&counts.block, &counts.grid, &counts.cycles, &counts.aborts, &counts.kills}) {
    *count = (*count + 99) / 100;
  }
  return counts;
}

Settings resolve(const CommandLine& line) {
  Settings settings = line.settings;
  settings.executor = choose_executor(parse_executor(line.executor), settings.device).kind;
  Counts& counts = settings.counts = default_counts(settings.executor, line.quick);
  counts.block = line.block.value_or(counts.block);
  counts.grid = line.grid.value_or(counts.grid);
  counts.cycles = line.cycles.value_or(counts.cycles);
  counts.aborts = line.aborts.value_or(counts.aborts);
  counts.kills = line.kills.value_or(counts.kills);
  return settings;
}

std::regex regex_of(const std::string& only) {
  try {
    return std::regex(only);
  } catch (const std::regex_error& e) {
    throw InputError("--only '" + only + "' is not a regular expression: " + e.what());
  }
}

std::vector<PartResult> run_parts(const Soak& soak, const std::string& only) {
  const std::regex wanted = regex_of(only);
  const Counts& counts = soak.settings.counts;
  struct Part {
    const char* name;
    std::uint64_t goal;
    std::function<PartResult(std::uint64_t)> run;
  };
  const Part parts[] = {
      {"block", counts.block, [&](auto goal) { return soak_stream(soak, Scope::block, goal); }},
      {"grid", counts.grid, [&](auto goal) { return soak_stream(soak, Scope::grid, goal); }},
      {"cycles", counts.cycles, [&](auto goal) { return soak_cycles(soak, goal); }},
      {"aborts", counts.aborts, [&](auto goal) { return soak_aborts(soak, goal); }},
      {"killed", counts.kills, [&](auto goal) { return soak_killed(soak, goal); }}};
  std::vector<PartResult> results;
  for (const Part& part : parts) {
    if (part.goal == 0 || !std::regex_search(part.name, wanted)) continue;
    results.push_back(part.run(part.goal));
  }
  if (results.empty()) {
    throw InputError("--only '" + only +
                     "' leaves no part; the parts are block, grid, cycles, aborts and killed");
  }
  return results;
}

void stop_stuck(const std::string& where) {
  std::fprintf(stderr, "aatgs_soak: STUCK\n%s", where.c_str());
  std::_Exit(stuck_status);  // nothing that waits for the GPU: it may be wedged
}

int run(const CommandLine& line, const std::string& words) {
  const Settings settings = resolve(line);
  Watch watch(std::chrono::milliseconds(static_cast<std::int64_t>(settings.stall_seconds * 1e3)),
              stop_stuck);
  const Soak soak{settings, make_soak_context, watch};
  if (!line.be_killed.empty()) return be_killed(soak, parse_scope(line.be_killed));
  if (!line.json.empty()) require_writable(line.json);
  Report report;
  report.machine = why_no_gpu(settings.device).empty() ? gpu_name(settings.device) : "no GPU";
  report.driver = driver_version();
  report.date = utc_now();
  report.options = words;
  report.executor = to_string(settings.executor);
  report.seed = settings.seed;
  std::fprintf(stderr, "aatgs_soak on %s, executor %s, seed %llu\n", report.machine.c_str(),
               report.executor.c_str(), static_cast<unsigned long long>(settings.seed));
  report.parts = run_parts(soak, line.only);
  std::cout << to_table(report);
  if (!line.json.empty()) write_whole(line.json, to_json(report));
  return report.errors() == 0 ? 0 : 1;
}

void add_options(CLI::App& app, CommandLine& line) {
  Settings& s = line.settings;
  app.add_option("--only", line.only,
                 "only the parts whose name contains a match: block, grid, cycles, aborts, killed")
      ->type_name("REGEX");
  app.add_option("--configs-block", line.block, "configs through block scope; 1e9 on a GPU");
  app.add_option("--configs-grid", line.grid, "configs through grid scope; 1e8 on a GPU");
  app.add_option("--cycles", line.cycles, "contexts made and ended; 2000 on a GPU");
  app.add_option("--aborts", line.aborts, "aborts at random moments; 1000 on a GPU");
  app.add_option("--kills", line.kills, "processes killed while resident; 10 on a GPU");
  app.add_flag("--quick", line.quick, "a hundredth of all that");
  app.add_option("--seconds", s.seconds, "most that one part may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--stall", s.stall_seconds, "seconds without progress that mean it is stuck")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--growth-mib", s.growth_mib, "most by which memory may grow during a part")
      ->capture_default_str();
  app.add_option("--seed", s.seed, "of everything drawn at random")->capture_default_str();
  app.add_option("--executor", line.executor,
                 "of block, grid and killed: automatic (resident where there is a GPU, else cpu), "
                 "resident, launch_queue, launch, graph, cpu")
      ->capture_default_str();
  app.add_option("--device", s.device, "CUDA ordinal")->capture_default_str();
  app.add_option("--json", line.json, "write the result to this file")->type_name("FILE");
  app.add_option("--be-killed", line.be_killed)->group("");  // the process that `killed` starts
}

}  // namespace
}  // namespace aatgs::soak

int main(int argc, char** argv) {
  aatgs::soak::CommandLine line;
  CLI::App app("Runs contexts for long under changing load and checks every telemetry");
  app.footer(
      "Examples:\n"
      "  aatgs_soak --json soak.json          all of it, about five minutes on an H200\n"
      "  aatgs_soak --quick                   a hundredth\n"
      "  aatgs_soak --only 'block|grid' --executor cpu --seed 7\n"
      "Ends with 0 if all is right, 1 after an error, 2 for wrong arguments, 3 if it was stuck.");
  aatgs::soak::add_options(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  std::string words;
  for (int i = 1; i < argc; ++i) words += (i == 1 ? "" : " ") + std::string(argv[i]);
  try {
    return aatgs::soak::run(line, words);
  } catch (const aatgs::InputError& e) {
    std::cerr << "aatgs_soak: " << e.what() << "\n";
    return 2;
  } catch (const aatgs::OptionError& e) {
    std::cerr << "aatgs_soak: " << e.what() << "\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "aatgs_soak: " << e.what() << "\n";
    return 1;
  }
}
