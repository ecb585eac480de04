// SPDX-License-Identifier: Apache-2.0
// aatgs_soak: a long load with a check of every telemetry.
#include <aatgs/host/errors.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <regex>

#include "configuration.hpp"
#include "gpu_table.hpp"
#include "machine.hpp"
#include "program.hpp"
#include "report.hpp"
#include "tasks.hpp"

namespace aatgs::soak {
namespace {

constexpr int stuck_status = 3;

/// The command line, before what depends on the machine is filled in.
struct CommandLine {
  std::string only;
  std::string json;
  std::string be_killed;
  bool quick = false;
  std::optional<std::uint64_t> block, grid, cycles, aborts, kills, tasks;
  Settings settings;
};

/// Without a GPU all is far slower.
Counts default_counts(ExecutorKind executor, bool quick) {
  Counts counts;
  if (executor == ExecutorKind::cpu) counts = {1'000'000, 20'000, 200, 100, 3, 3'000'000};
  if (!quick) return counts;
  for (auto* count : {&counts.block, &counts.grid, &counts.cycles, &counts.aborts, &counts.kills,
                      &counts.tasks}) {
    *count = (*count + 99) / 100;
  }
  return counts;
}

Settings resolve(const CommandLine& line) {
  Settings settings = line.settings;
  settings.executor = choose_executor(settings.executor, settings.device).kind;
  Counts& counts = settings.counts = default_counts(settings.executor, line.quick);
  counts.block = line.block.value_or(counts.block);
  counts.grid = line.grid.value_or(counts.grid);
  counts.cycles = line.cycles.value_or(counts.cycles);
  counts.aborts = line.aborts.value_or(counts.aborts);
  counts.kills = line.kills.value_or(counts.kills);
  counts.tasks = line.tasks.value_or(counts.tasks);
  return settings;
}

std::regex regex_of(const std::string& only) {
  try {
    return std::regex(only);
  } catch (const std::regex_error& e) {
    throw InputError("--only '" + only + "' is not a regular expression: " + e.what());
  }
}

/// Those that the soak's costs, counts and task graphs know.
ExecutorKind parse_soak_executor(const std::string& text) {
  return program::parse_executor_of(
      {ExecutorKind::automatic, ExecutorKind::resident, ExecutorKind::launch_queue,
       ExecutorKind::launch, ExecutorKind::graph, ExecutorKind::cpu},
      text);
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
      {"killed", counts.kills, [&](auto goal) { return soak_killed(soak, goal); }},
      {"tasks", counts.tasks,
       [&](auto goal) { return soak_tasks(soak, goal, make_soak_scheduler); }}};
  std::vector<PartResult> results;
  std::string left_out;
  for (const Part& part : parts) {
    if (!std::regex_search(part.name, wanted)) continue;
    if (part.goal == 0) {
      left_out += (left_out.empty() ? "" : ", ") + std::string(part.name);
    } else {
      results.push_back(part.run(part.goal));
    }
  }
  if (results.empty() && !left_out.empty()) {
    throw InputError("nothing to run: the count of " + left_out + " is 0, give 1 or more");
  }
  if (results.empty()) {
    throw InputError(
        "--only '" + only +
        "' leaves no part; the parts are block, grid, cycles, aborts, killed and tasks");
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
  program::require_writable(line.json);
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
  program::write_file(line.json, to_json(report));
  return report.errors() == 0 ? 0 : 1;
}

void define_parts(program::Configuration& config, CommandLine& line) {
  const auto whole = program::whole_number();
  auto table = config.table("soak");
  table
      .add({"only", "--only"}, line.only,
           "only the parts whose name contains a match: block, grid, cycles, aborts, killed, tasks")
      ->check(program::accepted_by(regex_of))
      ->type_name("REGEX");
  table
      .add({"configs_block", "--configs-block"}, line.block,
           "configs through block scope; 1e9 on a GPU")
      ->check(whole);
  table
      .add({"configs_grid", "--configs-grid"}, line.grid,
           "configs through grid scope; 1e8 on a GPU")
      ->check(whole);
  table.add({"cycles", "--cycles"}, line.cycles, "contexts made and ended; 2000 on a GPU")
      ->check(whole);
  table.add({"aborts", "--aborts"}, line.aborts, "aborts at random moments; 3000 on a GPU")
      ->check(whole);
  table.add({"kills", "--kills"}, line.kills, "processes killed while resident; 10 on a GPU")
      ->check(whole);
  table.add({"tasks", "--tasks"}, line.tasks, "tasks of random graphs; 1e9 on a GPU")->check(whole);
  table.add({"quick", "--quick"}, line.quick, "a hundredth of all that");
}

void define(CLI::App& app, program::Configuration& config, CommandLine& line) {
  const auto whole = program::whole_number();
  Settings& s = line.settings;
  define_parts(config, line);
  auto table = config.table("soak");
  table.add({"seconds", "--seconds"}, s.seconds, "most that one part may take")
      ->check(program::seconds())
      ->capture_default_str();
  table
      .add({"stall_seconds", "--stall"}, s.stall_seconds,
           "seconds without progress that mean it is stuck")
      ->check(program::seconds())
      ->capture_default_str();
  table
      .add({"growth_mib", "--growth-mib"}, s.growth_mib, "most by which memory may grow in a part")
      ->check(whole)
      ->capture_default_str();
  table.add({"seed", "--seed"}, s.seed, "of everything drawn at random")
      ->check(whole)
      ->capture_default_str();
  auto gpu = config.table("gpu");
  gpu.add({"device_id", "--device"}, s.device, "CUDA ordinal")->check(whole)->capture_default_str();
  gpu.add_choice({"executor", "--executor"}, s.executor, parse_soak_executor,
                 "of block, grid and killed: automatic (resident where there is a GPU, else cpu), "
                 "resident, launch_queue, launch, graph, cpu");
  app.add_option("--json", line.json, "write the result to this file")->type_name("FILE");
  app.add_option("--be-killed", line.be_killed)->group("");  // the process that `killed` starts
  app.footer(
      "Examples:\n"
      "  aatgs_soak --json soak.json          all of it, some eight minutes on an H200\n"
      "  aatgs_soak --quick                   a hundredth\n"
      "  aatgs_soak --only 'block|grid' --executor cpu --seed 7\n"
      "Exit status: 0 all is right; 1 an error; 2 wrong input or options; 3 it was stuck");
}

}  // namespace
}  // namespace aatgs::soak

int main(int argc, char** argv) {
  aatgs::soak::CommandLine line;
  CLI::App app("Runs contexts for long under changing load and checks every telemetry",
               "aatgs_soak");
  aatgs::program::Configuration config(app);
  define(app, config, line);
  std::string words;
  for (int i = 1; i < argc; ++i) words += (i == 1 ? "" : " ") + std::string(argv[i]);
  return run(config, argc, argv, [&] { return aatgs::soak::run(line, words); });
}
