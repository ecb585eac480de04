// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/options.hpp>

#include "machine.hpp"

namespace aatgs::soak {

std::optional<std::uint64_t> device_bytes(int device) {
  if (!why_no_gpu(device).empty()) return std::nullopt;
  std::size_t free = 0;
  std::size_t total = 0;
  AATGS_CUDA(cudaSetDevice(device), "selecting device " + std::to_string(device));
  AATGS_CUDA(cudaMemGetInfo(&free, &total), "asking for the memory in use");
  return total - free;
}

std::string driver_version() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) return "none";
  return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace aatgs::soak
