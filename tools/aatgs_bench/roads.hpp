// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// All roads in the three classes, over the plan's step lengths:
/// `closed`: the next config depends on the last telemetry.
/// `fed4`, `fed16`, `fed64`: a config may depend on telemetry that many steps old.
/// `known`: all configs are known beforehand.
void measure_roads(const Plan& plan, Report& report);

/// The resident road alone: rates, the host's costs, and sweeps of what can be set.
void measure_sweeps(const Plan& plan, Report& report);

}  // namespace aatgs::bench
