// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Of the random graphs with mixed times of tasks: from how many before it a task's dependencies
/// are.
inline constexpr std::uint32_t mixed_windows[] = {500, 1000, 2000, 4000};

/// Task graphs in the resident kernel:
/// `task/rate_...`: millions of empty tasks with a 32-byte config a second, spawned and run on the
/// GPU, from trees of 585 each.
/// `task/edge`, `task/fan`: a chain of empty tasks, by task; one that 4096 depend on, and a join.
/// `task/graph_10k_...`: 10,000 tasks of 2 us in random layers, here and as one CUDA graph.
/// `task/resubmit`: what the host spends to run them again with new configs, by task.
/// `task/mixed_...`: tasks of mixed lengths by critical path, and as they become ready.
/// `task/cholesky_...`: a factorisation by the same tile operations, here and by streams and
/// events.
void measure_tasks(const Plan& plan, Report& report);
/// The last of these.
void measure_cholesky(const Plan& plan, Report& report);

}  // namespace aatgs::bench
