// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/make_managed_context.cuh>
#include <aatgs/integrations/coloring/whcr_step.hpp>

#include "whcr_context.hpp"

namespace aatgs::coloring {

namespace {

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&value, which, device),
             "asking for the shared memory of device " + std::to_string(device));
  return value;
}

/// Whether each SM has room for the scratch of two searches, as many as the solver gives it, and
/// for what the kernel itself keeps there.
bool scratch_fits(std::size_t bytes, int device) {
  constexpr std::size_t reserve = 4096;
  const auto block =
      static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  const auto sm =
      static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device));
  return bytes + reserve <= block && 2 * (bytes + reserve) <= sm;
}

}  // namespace

ManagedWhcr make_whcr_context(WhcrProblem problem, const ContextOptions& options) {
  const auto kind = choose_executor(options.executor, options.device).kind;
  problem.in_scratch = options.scope == Scope::block && !is_on_host(kind) &&
                       scratch_fits(problem.scratch_bytes(), options.device);
  return make_managed_context<RuntimeConfig, KernelTelemetry>(
      WhcrStep{problem}, {.context = prefer_resident(options)});
}

}  // namespace aatgs::coloring
