// SPDX-License-Identifier: Apache-2.0
#include "cuda_memory_pool.hpp"

#include <aatgs/host/cuda_check.hpp>

namespace aatgs::detail {

namespace {

std::uint64_t read(cudaMemPool_t pool, cudaMemPoolAttr attribute) {
  std::uint64_t bytes = 0;
  AATGS_CUDA(cudaMemPoolGetAttribute(pool, attribute, &bytes),
             "asking for what a memory pool holds");
  return bytes;
}

}  // namespace

cudaMemPool_t make_cuda_pool(int device, const MemoryPoolLimits& limits) {
  const std::string where = " on CUDA device " + std::to_string(device);
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.handleTypes = cudaMemHandleTypeNone;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  properties.maxSize = limits.most_bytes;
  cudaMemPool_t pool = nullptr;
  AATGS_CUDA(cudaMemPoolCreate(&pool, &properties), "making a memory pool" + where);
  std::uint64_t keep = limits.keep_bytes;
  const cudaError_t error = cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep);
  if (error == cudaSuccess) return pool;
  cudaMemPoolDestroy(pool);
  throw_cuda_error(error, "letting a memory pool keep " + std::to_string(keep) + " bytes" + where);
}

cudaMemPool_t current_cuda_pool(int device) {
  cudaMemPool_t pool = nullptr;
  AATGS_CUDA(cudaDeviceGetMemPool(&pool, device),
             "asking for the memory pool of CUDA device " + std::to_string(device));
  return pool;
}

MemoryPoolUse cuda_pool_use(cudaMemPool_t pool) {
  return {read(pool, cudaMemPoolAttrUsedMemCurrent), read(pool, cudaMemPoolAttrUsedMemHigh),
          read(pool, cudaMemPoolAttrReservedMemCurrent),
          read(pool, cudaMemPoolAttrReservedMemHigh)};
}

void reset_cuda_pool_peaks(cudaMemPool_t pool) {
  for (const auto attribute : {cudaMemPoolAttrUsedMemHigh, cudaMemPoolAttrReservedMemHigh}) {
    std::uint64_t zero = 0;
    AATGS_CUDA(cudaMemPoolSetAttribute(pool, attribute, &zero),
               "setting a memory pool's peak back");
  }
}

}  // namespace aatgs::detail
