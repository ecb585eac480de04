// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/options.hpp>

#include "machine.hpp"

namespace aatgs::soak {

namespace {

/// Gives back what CUDA's own pool keeps of freed memory, 32 MiB at a time, which is no leak.
void trim_pool(int device) {
  cudaMemPool_t pool = nullptr;
  AATGS_CUDA(cudaDeviceGetDefaultMemPool(&pool, device), "asking for the memory pool");
  AATGS_CUDA(cudaMemPoolTrimTo(pool, 0), "trimming the memory pool");
}

}  // namespace

std::optional<std::uint64_t> device_bytes(int device) {
  if (!why_no_gpu(device).empty()) return std::nullopt;
  std::size_t free = 0;
  std::size_t total = 0;
  AATGS_CUDA(cudaSetDevice(device), "selecting device " + std::to_string(device));
  trim_pool(device);
  AATGS_CUDA(cudaMemGetInfo(&free, &total), "asking for the memory in use");
  return total - free;
}

std::string driver_version() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) return "none";
  return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace aatgs::soak
