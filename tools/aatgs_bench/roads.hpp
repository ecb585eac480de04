// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// How wide a step is run.
struct Width {
  unsigned blocks;        ///< of one config, in the lean kernels
  unsigned threads;       ///< of a block
  std::uint32_t workers;  ///< of our own roads; 0: as many as they take by themselves
};
/// In which widths the roads were found to be fastest, by name.
using Widths = std::map<std::string, Width>;

/// All roads in the three classes, over the plan's step lengths:
/// `closed`: the next config depends on the last telemetry.
/// `fed4`, `fed16`, `fed64`: a config may depend on telemetry that many steps old.
/// `known`: all configs are known beforehand.
/// Each in its width: what is not in `widths` is looked for first, and put there.
void measure_roads(const Plan& plan, Report& report, Widths& widths);

/// The resident road alone: rates, the host's costs, and sweeps of what can be set.
void measure_sweeps(const Plan& plan, Report& report);

}  // namespace aatgs::bench
