// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <string>
#include <utility>

namespace aatgs::detail {

/// Owns a CUDA stream of a device that does not wait for the default stream.
class StreamHandle {
 public:
  /// `what` it is for: "making ..." Throws `DeviceError`.
  StreamHandle(int device, const std::string& what) {
    AATGS_CUDA(cudaSetDevice(device), "selecting device " + std::to_string(device));
    AATGS_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), what);
  }
  ~StreamHandle() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  StreamHandle(StreamHandle&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  StreamHandle& operator=(StreamHandle&&) = delete;

  [[nodiscard]] cudaStream_t get() const { return stream_; }
  /// For work in it that cannot be ended.
  void abandon() { stream_ = nullptr; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace aatgs::detail
