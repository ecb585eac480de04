// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/integrations/stencil/jacobi_plain_step.hpp>
#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/integrations/stencil/tile_memory.hpp>
#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <vector>

namespace aatgs::stencil {

using JacobiContext = GpuExecutionContext<JacobiSlice, JacobiProgress>;

/// The shapes of tiles that were compiled; none in a build without CUDA.
const std::vector<ShapeTraits>& tile_shapes();

/// Shared memory that a block may have.
std::size_t most_tile_scratch(int device);

/// Contexts on the two steps. `shape`: index into `tile_shapes`.
JacobiContext make_tile_context(std::size_t shape, const TileMemory<float>& memory,
                                const ContextOptions& options);
JacobiContext make_plain_context(const JacobiPlainStep<float>& step, const ContextOptions& options);

}  // namespace aatgs::stencil
