// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <aatgs/host/stream/stream_device.hpp>

namespace aatgs::detail {

/// CUDA's memory pools of a device, which is selected. All throw `DeviceError`.
cudaMemPool_t make_cuda_pool(int device, const MemoryPoolLimits& limits);
/// That of `cudaMallocAsync`.
cudaMemPool_t current_cuda_pool(int device);
MemoryPoolUse cuda_pool_use(cudaMemPool_t pool);
void reset_cuda_pool_peaks(cudaMemPool_t pool);

}  // namespace aatgs::detail
