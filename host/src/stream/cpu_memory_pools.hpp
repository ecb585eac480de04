// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace aatgs::detail {

/// Plain memory, aligned like a GPU's. Throws `DeviceError` if there is not enough.
void* allocate_cpu(std::size_t bytes);
void free_cpu(void* data) noexcept;

/// What CUDA's memory pools are on a GPU: plain memory, counted, that keeps nothing. Thread-safe.
class CpuMemoryPools {
 public:
  CpuMemoryPools();

  void* make(const MemoryPoolLimits& limits);
  void destroy(void* pool) noexcept;
  void* allocate(std::size_t bytes, void* pool);
  /// Throws `DeviceError` unless the memory is from here and no other free of it was begun.
  void begin_free(void* data);
  void free(void* data) noexcept;
  MemoryPoolUse use(void* pool);
  void reset_peaks(void* pool);

 private:
  struct Pool {
    MemoryPoolLimits limits;
    MemoryPoolUse use;
  };
  struct Block {
    std::shared_ptr<Pool> pool;
    std::size_t bytes;
    bool is_ending = false;
  };
  Pool& find(void* pool);

  std::mutex mutex_;
  std::shared_ptr<Pool> all_;  ///< of memory from no other
  std::unordered_map<void*, std::shared_ptr<Pool>> pools_;
  std::unordered_map<void*, Block> blocks_;
};

}  // namespace aatgs::detail
