// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/select_device.hpp>
#include <string>

namespace aatgs::detail {

/// Owns a CUDA stream of a device that does not wait for the default stream.
class StreamHandle {
 public:
  /// `what` it is for: "making ..." Throws `DeviceError`.
  StreamHandle(int device, const std::string& what) : device_(device) {
    select_device(device);
    AATGS_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), what);
  }
  ~StreamHandle() {
    if (stream_ != nullptr) cudaStreamDestroy(get());
  }
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;

  /// Selects the device on the calling thread, too: launches into the stream need that. If it has
  /// failed, the call that uses the stream tells.
  [[nodiscard]] cudaStream_t get() const {
    try_select_device(device_);
    return stream_;
  }
  /// For work in it that cannot be ended.
  void abandon() { stream_ = nullptr; }

 private:
  int device_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace aatgs::detail
