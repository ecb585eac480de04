// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// What streams gain by overlap, and what the layer on them costs:
/// `stream/triple_...`, `stream/sequential_...`: a step of upload, kernel and download by a triple
/// buffer, and in one stream. `1_1`, `10_1`, `1_10`: kernel to transfer, 64 MiB each way; `2_5_2`:
/// ms of upload, kernel, download.
/// `stream/coordinator`, `stream/raw_calls`: the host's time for an operation of an upload, a
/// launch and a download that wait for each other, by `AsyncCoordinator` and by the same CUDA
/// calls. `stream/phases_...`: four kernels, each of a quarter of the SMs, side by side and in one
/// stream. `stream/pipeline_...`: an iteration of ten small stages, as a graph and queued again
/// each time.
void measure_stream_overlap(const Plan& plan, Report& report);

}  // namespace aatgs::bench
