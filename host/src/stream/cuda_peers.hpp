// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <mutex>
#include <vector>

namespace aatgs::detail {

/// Which GPUs reach the memory of another one. Peer access, which CUDA has for each pair of
/// devices, is not for the memory of pools: each has a list of its own. Thread-safe; all throw
/// `DeviceError`, and may leave another device selected.
class CudaPeers {
 public:
  explicit CudaPeers(int owner) : owner_(owner) {}

  [[nodiscard]] bool can_add(int reader) const;
  /// From now on `reader` reaches the device's memory, its pools and those that are to come.
  void add(int reader);

  /// A pool of the device that is new.
  void add_pool(cudaMemPool_t pool);
  /// It is about to be destroyed.
  void remove_pool(cudaMemPool_t pool) noexcept;

 private:
  void open(cudaMemPool_t pool, int reader) const;

  const int owner_;
  std::mutex mutex_;
  std::vector<int> readers_;
  std::vector<cudaMemPool_t> pools_;
};

}  // namespace aatgs::detail
