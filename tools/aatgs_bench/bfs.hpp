// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Milliseconds of a breadth-first search from a corner of a road-like mesh: 1000 x 1000 vertices,
/// 65 of 100 edges between neighbours.
/// `bfs_mesh/resident`: `BreadthFirst`; `bfs_mesh_tasks/resident`: its tasks.
/// `bfs_mesh/levels_...`: a launch for each level, the host reading how many vertices are next;
/// or 60 at once as a graph, with and without programmatic dependent launch, several shapes.
/// The host compares all distances with its own search.
void measure_bfs(const Plan& plan, Report& report);

}  // namespace aatgs::bench
