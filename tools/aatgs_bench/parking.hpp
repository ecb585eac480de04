// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// `park_after` of the contexts that others wait for.
inline constexpr double idle_before_park_ms = 5;

/// What parking costs us and others, in both scopes:
/// `first_config`: from queue to telemetry of the first config after a park.
/// `launch_sync`: the same config by a plain launch and a synchronise, without copies.
/// `device_synchronize`, `free`: how long these CUDA calls take right after a completion.
/// And `yield/second_process_...`: a round of plain kernels in another process, alone, and beside a
/// context here that is busy all the time, without and with `leave_after`.
void measure_parking(const Plan& plan, Report& report);

}  // namespace aatgs::bench
