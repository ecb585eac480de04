// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// What streams gain by overlap, and what the layer on them costs:
/// `stream/coordinator`, `stream/raw_calls`: the host's time for an operation of an upload, a
/// launch and a download that wait for each other, by `AsyncCoordinator` and by the same CUDA
/// calls. `stream/phases_...`: four kernels, each of a quarter of the SMs, side by side and in one
/// stream. `stream/pipeline_...`: an iteration of ten small stages, as a graph and queued again
/// each time.
void measure_stream_overlap(const Plan& plan, Report& report);

}  // namespace aatgs::bench
