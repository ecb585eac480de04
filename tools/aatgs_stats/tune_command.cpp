// SPDX-License-Identifier: Apache-2.0
#include "tune_command.hpp"

#include <aatgs/host/errors.hpp>
#include <iostream>

#include "command_runner.hpp"
#include "text_input.hpp"
#include "tune.hpp"

namespace aatgs {
namespace {

/// In words, also for whoever reads the report later.
std::string describe(const Load& load) {
  const std::string pace = load.rate == 0 ? std::string("as fast as it can")
                                          : "at most " + std::to_string(load.rate) + " configs/s";
  return "built-in load: steps of " + std::to_string(load.step_us) + " us, bursts of " +
         std::to_string(load.burst) + ", " + pace + ", telemetry of " +
         (load.large_telemetry ? "4096" : "64") + " bytes read in " +
         std::to_string(load.reader_us) + " us";
}

std::string describe(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + word;
  return printable(text, 1000);
}

Measurement run_checked(const Load& load, const ContextOptions& options) {
  Measurement m = run_load(load, options);
  if (m.collected >= fewest_configs) return m;
  throw InputError("the built-in load came to " + std::to_string(m.collected) +
                   " configs, too few to judge rings by: raise --run-ms or --rate, so that it " +
                   "runs at least " + std::to_string(fewest_configs));
}

Runner runner_of(const TuneChoices& choices) {
  if (!choices.command.empty()) {
    return CommandRunner(choices.command, std::chrono::seconds(choices.timeout_s));
  }
  return [&choices](const Setting& setting) {
    ContextOptions options = choices.options;
    options.config_slots = setting.config_slots;
    options.telemetry_slots = setting.telemetry_slots;
    options.config_policy = setting.config_policy;
    options.telemetry_policy = setting.telemetry_policy;
    return run_checked(choices.load, options);
  };
}

std::vector<Setting> policies_of(const TuneChoices& choices) {
  std::vector<Setting> all;
  for (const std::string& config : choices.config_policies) {
    for (const std::string& telemetry : choices.telemetry_policies) {
      Setting policies;
      policies.config_policy = parse_config_policy(config);
      policies.telemetry_policy = parse_telemetry_policy(telemetry);
      all.push_back(policies);
    }
  }
  return all;
}

}  // namespace

int tune_workload(const TuneChoices& choices, bool exhaustive) {
  const Format format = parse_format(choices.format);
  TunePlan plan;
  plan.exhaustive = exhaustive;
  plan.limits = choices.limits;
  plan.policies = policies_of(choices);
  plan.repeat = choices.repeat;
  plan.workload = choices.command.empty() ? describe(choices.load) : describe(choices.command);
  check_limits(plan.limits);
  std::cout << show_tuning(tune(plan, runner_of(choices), std::cerr), format);
  return 0;
}

int run_load_once(const TuneChoices& choices) {
  const Format format = parse_format(choices.format);
  std::cout << show_run(describe(choices.load), run_checked(choices.load, choices.options), format);
  return 0;
}

}  // namespace aatgs
