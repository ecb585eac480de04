// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// What `DeviceSet` copies between two GPUs, GB/s of copies there and then of copies back:
/// `stream/copy_between_gpus_peer`: 64 MiB each, directly; `..._staged`: through pinned host
/// memory; `..._1mib`: 1 MiB each. The other GPU is the first besides `Plan::context.device`.
/// Where these two reach each other through the host alone, only staged; on one GPU nothing, which
/// a line on the standard error stream tells. Throws Error if other bytes arrive than were sent.
void measure_stream_peers(const Plan& plan, Report& report);

}  // namespace aatgs::bench
