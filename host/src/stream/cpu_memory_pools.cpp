// SPDX-License-Identifier: Apache-2.0
#include "cpu_memory_pools.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <new>
#include <string>

namespace aatgs::detail {

namespace {
constexpr std::align_val_t alignment{256};  // as CUDA's
}

void* allocate_cpu(std::size_t bytes) {
  void* data = ::operator new(std::max<std::size_t>(bytes, 1), alignment, std::nothrow);
  if (data != nullptr) return data;
  throw DeviceError("allocating " + std::to_string(bytes) + " bytes of host memory failed",
                    "cudaErrorMemoryAllocation");
}

void free_cpu(void* data) noexcept {
  ::operator delete(data, alignment);
}

CpuMemoryPools::CpuMemoryPools() : all_(std::make_shared<Pool>()) {}

void* CpuMemoryPools::make(const MemoryPoolLimits& limits) {
  auto pool = std::make_shared<Pool>();
  pool->limits = limits;
  const std::lock_guard lock(mutex_);
  pools_.emplace(pool.get(), pool);
  return pool.get();
}

void CpuMemoryPools::destroy(void* pool) noexcept {
  const std::lock_guard lock(mutex_);
  pools_.erase(pool);
}

CpuMemoryPools::Pool& CpuMemoryPools::find(void* pool) {
  if (pool == nullptr) return *all_;
  const auto found = pools_.find(pool);
  if (found != pools_.end()) return *found->second;
  throw DeviceError("a memory pool is used that was destroyed or is of another device",
                    "cudaErrorInvalidValue");
}

void* CpuMemoryPools::allocate(std::size_t bytes, void* pool) {
  const std::lock_guard lock(mutex_);
  Pool& from = find(pool);
  const std::uint64_t used = from.use.used + bytes;
  if (from.limits.most_bytes != 0 && used > from.limits.most_bytes) {
    throw DeviceError("allocating " + std::to_string(bytes) + " bytes from a pool of at most " +
                          std::to_string(from.limits.most_bytes) + ", " +
                          std::to_string(from.use.used) + " of which are used",
                      "cudaErrorMemoryAllocation");
  }
  void* data = allocate_cpu(bytes);
  blocks_[data] = {pool == nullptr ? all_ : pools_.at(pool), bytes};
  from.use.used = from.use.reserved = used;
  from.use.used_peak = from.use.reserved_peak = std::max(from.use.used_peak, used);
  return data;
}

void CpuMemoryPools::begin_free(void* data) {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  if (found == blocks_.end() || found->second.is_ending) {
    throw DeviceError("freeing memory that is not allocated here, or no longer",
                      "cudaErrorInvalidValue");
  }
  found->second.is_ending = true;
}

void CpuMemoryPools::free(void* data) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  MemoryPoolUse& use = found->second.pool->use;
  use.used -= found->second.bytes;
  use.reserved = use.used;
  blocks_.erase(found);
  free_cpu(data);
}

MemoryPoolUse CpuMemoryPools::use(void* pool) {
  const std::lock_guard lock(mutex_);
  return find(pool).use;
}

void CpuMemoryPools::reset_peaks(void* pool) {
  const std::lock_guard lock(mutex_);
  MemoryPoolUse& use = find(pool).use;
  use.used_peak = use.used;
  use.reserved_peak = use.reserved;
}

}  // namespace aatgs::detail
