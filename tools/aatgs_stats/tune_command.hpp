// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "load.hpp"
#include "tuner.hpp"

namespace aatgs {

/// What the command line asks of `tune`, `sweep` and `load`.
struct TuneChoices {
  std::string format = "text";
  std::vector<std::string> command;  ///< a program and its arguments; empty: the built-in load
  std::vector<std::string> config_policies = {"block"};
  std::vector<std::string> telemetry_policies = {"block"};
  ContextOptions options;  ///< of the built-in load
  Load load;
  SlotLimits limits;
  std::uint32_t repeat = 1;
  std::uint32_t timeout_s = 60;
};

/// Print the report. Return the exit status; throw what `tune` throws in tune.hpp.
int tune_workload(const TuneChoices& choices, bool exhaustive);
int run_load_once(const TuneChoices& choices);

}  // namespace aatgs
