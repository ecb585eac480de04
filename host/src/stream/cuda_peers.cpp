// SPDX-License-Identifier: Apache-2.0
#include "cuda_peers.hpp"

#include <aatgs/host/detail/select_device.hpp>
#include <algorithm>
#include <string>

#include "cuda_memory_pool.hpp"

namespace aatgs::detail {

namespace {

std::string between(int reader, int owner) {
  return "device " + std::to_string(reader) + " reach the memory of device " +
         std::to_string(owner);
}

}  // namespace

bool CudaPeers::can_add(int reader) const {
  if (reader == owner_) return true;
  int can = 0;
  AATGS_CUDA(cudaDeviceCanAccessPeer(&can, reader, owner_),
             "asking whether " + between(reader, owner_));
  return can != 0;
}

void CudaPeers::add(int reader) {
  const std::lock_guard lock(mutex_);
  const bool is_known = std::find(readers_.begin(), readers_.end(), reader) != readers_.end();
  if (reader == owner_ || is_known) return;
  select_device(reader);
  const cudaError_t error = cudaDeviceEnablePeerAccess(owner_, 0);
  if (error == cudaErrorPeerAccessAlreadyEnabled) {
    cudaGetLastError();  // by somebody else in the process
  } else {
    AATGS_CUDA(error, "letting " + between(reader, owner_));
  }
  open(current_cuda_pool(owner_), reader);
  for (const cudaMemPool_t pool : pools_) open(pool, reader);
  readers_.push_back(reader);
}

void CudaPeers::add_pool(cudaMemPool_t pool) {
  const std::lock_guard lock(mutex_);
  // A GPU that has failed since must not keep its owner from having pools.
  std::erase_if(readers_, [&](int reader) {
    try {
      open(pool, reader);
      return false;
    } catch (const DeviceError&) {
      return true;
    }
  });
  pools_.push_back(pool);
}

void CudaPeers::remove_pool(cudaMemPool_t pool) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase(pools_, pool);
}

void CudaPeers::open(cudaMemPool_t pool, int reader) const {
  cudaMemAccessDesc access{};
  access.location.type = cudaMemLocationTypeDevice;
  access.location.id = reader;
  access.flags = cudaMemAccessFlagsProtReadWrite;
  AATGS_CUDA(cudaMemPoolSetAccess(pool, &access, 1),
             "letting " + between(reader, owner_) + " in a pool");
}

}  // namespace aatgs::detail
