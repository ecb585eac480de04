// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// A step is an upload, a kernel that touches no memory, and a download of as many bytes:
/// `stream/sequential_...`: steps in one stream; `stream/triple_...`: by a triple buffer;
/// `stream/triple4_...`: by one with a fourth slot. `1_1`, `10_1`, `1_10`: kernel to one transfer
/// of 64 MiB; `2_5_2`: ms of upload, kernel, download.
void measure_stream_triple(const Plan& plan, Report& report);

}  // namespace aatgs::bench
