// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/managed_gpu_context.hpp>
#include <aatgs/integrations/linear/cg_chip_step.hpp>
#include <aatgs/integrations/linear/cg_memory_step.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

using ManagedCg = ManagedGpuContext<CgSlice, CgProgress>;

/// What a block may take of the GPU; of the cpu executor, what may stay in a core's cache.
std::size_t most_scratch(ExecutorKind kind, int device);

/// The cache before the memory; 0 for the cpu executor, whose steps leave it alone.
std::size_t cache_bytes(ExecutorKind kind, int device);

/// Contexts on the two steps. A build without CUDA has versions for host threads only.
ManagedCg make_cg_context(const CgChip& chip, const ContextOptions& options);
ManagedCg make_cg_context(const CgMemory& memory, const ContextOptions& options);

}  // namespace aatgs::linear
