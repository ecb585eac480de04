// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <string>

namespace aatgs::detail {

/// Selects a device on the calling thread. CUDA refuses launches into streams of another device
/// than that; other calls would make a context on it, or fail with it. Asking, most often in vain,
/// is cheaper than selecting.
inline cudaError_t try_select_device(int device) noexcept {
  int current = -1;
  if (cudaGetDevice(&current) == cudaSuccess && current == device) return cudaSuccess;
  return cudaSetDevice(device);
}

inline void select_device(int device) {
  AATGS_CUDA(try_select_device(device), "selecting device " + std::to_string(device));
}

}  // namespace aatgs::detail
