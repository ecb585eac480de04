// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Pools of streams and of memory:
/// `stream/load_balanced`, `stream/round_robin`: mean completion of mixed long and short jobs that
/// come at a steady rate and keep two thirds of four streams busy.
/// `stream/allocator_...`, `stream/cuda_malloc_...`: an allocation and its free, by size.
/// `stream/allocator_reserved_...`: what its pool holds before and after a million of both.
void measure_stream_pools(const Plan& plan, Report& report);

}  // namespace aatgs::bench
