// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/select_device.hpp>
#include <cstring>

#include "gpu_memory.hpp"

namespace aatgs::gpu {

CopyStream::CopyStream(int device) : device_(device) {
  aatgs::detail::select_device(device);
  cudaStream_t stream = nullptr;
  AATGS_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a copy stream");
  stream_ = stream;
}

CopyStream::~CopyStream() {
  aatgs::detail::try_select_device(device_);
  cudaStreamDestroy(static_cast<cudaStream_t>(stream_));
}

void* CopyStream::allocate(std::size_t bytes) {
  aatgs::detail::select_device(device_);
  auto* stream = static_cast<cudaStream_t>(stream_);
  void* data = nullptr;
  AATGS_CUDA(cudaMallocAsync(&data, bytes, stream),
             "allocating " + std::to_string(bytes) + " bytes on device " + std::to_string(device_));
  cudaError_t error = cudaMemsetAsync(data, 0, bytes, stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (error != cudaSuccess) {
    release(data);
    aatgs::detail::throw_cuda_error(
        error, "zeroing " + std::to_string(bytes) + " bytes on device " + std::to_string(device_));
  }
  return data;
}

void CopyStream::release(void* data) noexcept {
  aatgs::detail::try_select_device(device_);
  cudaFreeAsync(data, static_cast<cudaStream_t>(stream_));
}

void CopyStream::copy(void* to, const void* from, std::size_t bytes) {
  aatgs::detail::select_device(device_);
  auto* stream = static_cast<cudaStream_t>(stream_);
  const std::string what = "copying " + std::to_string(bytes) + " bytes";
  AATGS_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), what);
  AATGS_CUDA(cudaStreamSynchronize(stream), what);
}

void* allocate_mapped(std::size_t bytes, int device) {
  aatgs::detail::select_device(device);
  void* data = nullptr;
  AATGS_CUDA(cudaHostAlloc(&data, bytes, cudaHostAllocMapped | cudaHostAllocPortable),
             "allocating " + std::to_string(bytes) + " bytes of mapped host memory");
  std::memset(data, 0, bytes);
  return data;
}

void release_mapped(void* data, int device) noexcept {
  aatgs::detail::try_select_device(device);
  cudaFreeHost(data);
}

}  // namespace aatgs::gpu
