// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/options.hpp>

namespace aatgs {

std::string why_no_gpu(int device) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    return std::string("no usable GPU (") + cudaGetErrorName(error) + ": " +
           cudaGetErrorString(error) + ")";
  }
  if (device < count) return {};
  return "there is no device " + std::to_string(device) + ", only " + std::to_string(count);
}

std::string gpu_name(int device) {
  cudaDeviceProp properties{};
  AATGS_CUDA(cudaGetDeviceProperties(&properties, device),
             "reading the properties of device " + std::to_string(device));
  return properties.name;
}

std::uint32_t gpu_multiprocessors(int device) {
  int count = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs of device " + std::to_string(device));
  return static_cast<std::uint32_t>(count);
}

}  // namespace aatgs
