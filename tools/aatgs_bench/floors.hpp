// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// What the hardware itself takes: one flag to the GPU and back, one barrier of all blocks, and the
/// bandwidth of pinned copies to the GPU, from it, and both at once.
void measure_floors(const Plan& plan, Report& report);

}  // namespace aatgs::bench
