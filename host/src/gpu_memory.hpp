// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace aatgs::gpu {

/// The few things that `Memory` needs from CUDA; a build without CUDA has a version that refuses.
/// All throw `DeviceError`, and leave the device selected on the calling thread.

/// A stream of its own that does not synchronise with the legacy default stream.
class CopyStream {
 public:
  explicit CopyStream(int device);
  ~CopyStream();
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;

  /// Zeroed device memory, released in stream order: `cudaFree` would wait for a resident kernel.
  void* allocate(std::size_t bytes);
  void release(void* data) noexcept;
  /// Copies between host and device and waits for it.
  void copy(void* to, const void* from, std::size_t bytes);

 private:
  int device_;
  void* stream_ = nullptr;
};

/// Zeroed pinned host memory that every GPU reaches at the same address.
void* allocate_mapped(std::size_t bytes, int device);
void release_mapped(void* data, int device) noexcept;

}  // namespace aatgs::gpu
