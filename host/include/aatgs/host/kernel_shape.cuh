// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/select_device.hpp>
#include <aatgs/host/errors.hpp>
#include <cstdint>
#include <string>

namespace aatgs {

/// How a kernel is launched.
struct KernelShape {
  std::uint32_t blocks;
  std::uint32_t threads;
  std::size_t scratch_bytes;
};

/// Whether this kernel may begin while the one before it in its stream runs (programmatic dependent
/// launch): since compute capability 9, if it was compiled for that. Code for an older GPU, which
/// CUDA translates for a newer one, has no wait for the kernel before. Loads the kernel, as
/// `size_kernel` does. Throws `DeviceError`.
inline bool has_dependent_launch(int device, const void* kernel) {
  detail::select_device(device);
  int major = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
             "asking for the compute capability of device " + std::to_string(device));
  if (major < 9) return false;
  cudaFuncAttributes attributes{};
  AATGS_CUDA(cudaFuncGetAttributes(&attributes, kernel), "asking what a kernel was compiled for");
  return attributes.ptxVersion >= 90;
}

/// Sizes a cooperative kernel from occupancy. `wanted` blocks run steps (0: all that fit, or one on
/// each SM); `extra` more serve them. Loads the kernel on the way: lazy loading while another
/// kernel is resident would wait for that one to leave. Throws `OptionError` if not all can be on
/// the GPU at once, `DeviceError` if CUDA refuses.
template <class Kernel>
KernelShape size_kernel(Kernel kernel, int device, unsigned threads, std::size_t scratch_bytes,
                        std::uint32_t wanted, bool one_per_sm, std::uint32_t extra) {
  detail::select_device(device);
  int cooperative = 0;
  int sms = 0;
  int scratch_limit = 0;
  const std::string about = " of device " + std::to_string(device);
  AATGS_CUDA(cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device),
             "asking for cooperative launch" + about);
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs" + about);
  AATGS_CUDA(
      cudaDeviceGetAttribute(&scratch_limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
      "asking for the shared memory" + about);
  if (cooperative == 0) {
    throw OptionError("device " + std::to_string(device) +
                      " has no cooperative launch, which every grid needs: use another device");
  }
  cudaFuncAttributes attributes{};
  AATGS_CUDA(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)),
             "loading the step's kernel");
  const std::size_t most = static_cast<std::size_t>(scratch_limit) - attributes.sharedSizeBytes;
  if (scratch_bytes > most) {
    throw OptionError("the step asks for " + std::to_string(scratch_bytes) +
                      " bytes of scratch per block, the device has " + std::to_string(most) +
                      ": ask for less, or keep the rest in a Buffer");
  }
  AATGS_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(scratch_bytes)),
             "asking for " + std::to_string(scratch_bytes) + " bytes of shared memory");
  int per_sm = 0;
  AATGS_CUDA(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
                 &per_sm, kernel, static_cast<int>(threads), scratch_bytes),
             "computing the occupancy of the step");
  const auto resident = static_cast<std::uint32_t>(per_sm * sms);
  std::uint32_t workers = wanted;
  if (wanted == 0) {
    const std::uint32_t fit = resident > extra ? resident - extra : 0;
    workers =
        one_per_sm && fit > static_cast<std::uint32_t>(sms) ? static_cast<std::uint32_t>(sms) : fit;
  }
  if (workers == 0 || std::uint64_t{workers} + extra > resident) {
    throw OptionError("the step needs " + std::to_string(workers) + " + " + std::to_string(extra) +
                      " blocks of " + std::to_string(threads) +
                      " threads on the GPU at once, but " + std::to_string(resident) +
                      " fit: ask for fewer workers, fewer threads or less scratch");
  }
  return {workers + extra, threads, scratch_bytes};
}

}  // namespace aatgs
