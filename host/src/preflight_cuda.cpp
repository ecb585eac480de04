// SPDX-License-Identifier: Apache-2.0
#include <cuda.h>
#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/select_device.hpp>

#include "preflight_facts.hpp"

namespace aatgs::detail {

namespace {

/// Attributes of one device.
class Attributes {
 public:
  explicit Attributes(int device) : device_(device) {}

  [[nodiscard]] std::uint32_t count(cudaDeviceAttr attribute) const {
    int value = 0;
    AATGS_CUDA(cudaDeviceGetAttribute(&value, attribute, device_),
               "asking for attribute " + std::to_string(attribute) + " of device " +
                   std::to_string(device_));
    return static_cast<std::uint32_t>(value);
  }
  [[nodiscard]] bool has(cudaDeviceAttr attribute) const { return count(attribute) != 0; }

 private:
  int device_;
};

ComputeMode to_mode(std::uint32_t mode) {
  if (mode == cudaComputeModeDefault) return ComputeMode::shared;
  return mode == cudaComputeModeProhibited ? ComputeMode::prohibited
                                           : ComputeMode::exclusive_process;
}

/// Asked of the driver itself: it has the last word, not the environment variable.
bool loads_lazily() {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuModuleGetLoadingMode", &entry,
                                                             11070, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) return true;  // be careful
  CUmoduleLoadingMode mode{};
  const auto ask = reinterpret_cast<CUresult (*)(CUmoduleLoadingMode*)>(entry);
  return ask(&mode) != CUDA_SUCCESS || mode == CU_MODULE_LAZY_LOADING;
}

/// What a block takes. Registers are handed out by the warp, 256 at a time (CUDA C++ Programming
/// Guide, compute capabilities 7.5 and up).
SmRoom measure_block(const cudaFuncAttributes& kernel, const ResidentPlan& plan,
                     std::uint32_t reserved_bytes) {
  const std::uint32_t warps = (plan.threads + 31) / 32;
  const std::uint32_t per_warp = (static_cast<std::uint32_t>(kernel.numRegs) * 32 + 255) / 256;
  return {1, warps * 32, warps * per_warp * 256,
          kernel.sharedSizeBytes + plan.scratch_bytes + reserved_bytes};
}

void read_kernel_facts(MachineFacts& facts, const ResidentPlan& plan, const Attributes& device) {
  cudaFuncAttributes kernel{};
  AATGS_CUDA(cudaFuncGetAttributes(&kernel, plan.kernel), "loading the step's kernel");
  facts.kernel_loaded = true;
  AATGS_CUDA(cudaFuncSetAttribute(plan.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(plan.scratch_bytes)),
             "asking for " + std::to_string(plan.scratch_bytes) + " bytes of shared memory");
  int per_sm = 0;
  AATGS_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
                 &per_sm, plan.kernel, static_cast<int>(plan.threads), plan.scratch_bytes),
             "computing the occupancy of the step");
  facts.blocks_that_fit = static_cast<std::uint32_t>(per_sm) * facts.sms;
  facts.block = measure_block(kernel, plan, device.count(cudaDevAttrReservedSharedMemoryPerBlock));
}

}  // namespace

void read_driver_facts(MachineFacts& facts) {
  AATGS_CUDA(cudaDriverGetVersion(&facts.driver_version), "asking for the driver's version");
  AATGS_CUDA(cudaRuntimeGetVersion(&facts.runtime_version), "asking for the runtime's version");
}

void read_device_facts(MachineFacts& facts, const ResidentPlan& plan) {
  const Attributes device(plan.device);
  facts.compute_mode = to_mode(device.count(cudaDevAttrComputeMode));
  if (facts.compute_mode == ComputeMode::prohibited) return;  // the next call would fail
  select_device(plan.device);
  facts.lazy_loading = loads_lazily();
  facts.cooperative_launch = device.has(cudaDevAttrCooperativeLaunch);
  facts.maps_host_memory = device.has(cudaDevAttrCanMapHostMemory);
  facts.unified_addressing = device.has(cudaDevAttrUnifiedAddressing);
  facts.integrated = device.has(cudaDevAttrIntegrated);
  facts.display_watchdog = device.has(cudaDevAttrKernelExecTimeout);
  facts.compute_preemption = device.has(cudaDevAttrComputePreemptionSupported);
  facts.sms = device.count(cudaDevAttrMultiProcessorCount);
  facts.sm = {device.count(cudaDevAttrMaxBlocksPerMultiprocessor),
              device.count(cudaDevAttrMaxThreadsPerMultiProcessor),
              device.count(cudaDevAttrMaxRegistersPerMultiprocessor),
              device.count(cudaDevAttrMaxSharedMemoryPerMultiprocessor)};
  std::size_t total = 0;
  std::size_t free = 0;
  AATGS_CUDA(cudaMemGetInfo(&free, &total), "asking for the free memory of the device");
  facts.free_device_bytes = free;
  if (plan.kernel != nullptr) read_kernel_facts(facts, plan, device);
}

}  // namespace aatgs::detail
