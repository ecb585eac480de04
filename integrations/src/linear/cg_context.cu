// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/make_managed_context.cuh>

#include "cg_context.hpp"

namespace aatgs::linear {

std::size_t most_scratch(ExecutorKind kind, int device) {
  if (is_on_host(kind)) return std::size_t{1} << 20;
  int bytes = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
             "asking for the shared memory of device " + std::to_string(device));
  constexpr std::size_t for_the_runtime = 4096;  // its own shared variables, under 1 KiB
  return static_cast<std::size_t>(bytes) - for_the_runtime;
}

std::size_t cache_bytes(ExecutorKind kind, int device) {
  if (is_on_host(kind)) return 0;
  int bytes = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device),
             "asking for the cache of device " + std::to_string(device));
  return static_cast<std::size_t>(bytes);
}

ManagedCg make_cg_context(const CgChip& chip, const ContextOptions& options) {
  return make_managed_context<CgSlice, CgProgress>(CgChipStep{chip},
                                                   {.context = prefer_resident(options)});
}
ManagedCg make_cg_context(const CgMemory& memory, const ContextOptions& options) {
  return make_managed_context<CgSlice, CgProgress>(CgMemoryStep{memory},
                                                   {.context = prefer_resident(options)});
}

}  // namespace aatgs::linear
