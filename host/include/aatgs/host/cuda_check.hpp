// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <aatgs/host/errors.hpp>
#include <string>

namespace aatgs::detail {

/// Throws `DeviceError` with CUDA's name of the error and clears it if it can be cleared.
[[noreturn]] inline void throw_cuda_error(cudaError_t error, const std::string& doing) {
  cudaGetLastError();
  throw DeviceError(
      std::string(cudaGetErrorName(error)) + " while " + doing + ": " + cudaGetErrorString(error),
      cudaGetErrorName(error));
}

}  // namespace aatgs::detail

/// Runs a CUDA call; if it fails, throws `DeviceError` that says what was being done. A macro so
/// that the sentence is only put together on failure.
#define AATGS_CUDA(call, doing)                              \
  do {                                                       \
    const cudaError_t aatgs_error = (call);                  \
    if (aatgs_error != cudaSuccess) {                        \
      ::aatgs::detail::throw_cuda_error(aatgs_error, doing); \
    }                                                        \
  } while (false)
