// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace aatgs {

/// Where memory lies.
enum class MemoryKind {
  host,  ///< plain memory; what the cpu executor works on
  /// Pinned host memory that the GPU reaches at the same address. The host sees what a step has
  /// written there, when it has the telemetry, if each thread that wrote has called `full_fence`
  /// (`aatgs/runtime/platform.hpp`) after it.
  mapped,
  device,  ///< GPU memory
};

/// The memory that steps of an executor work on.
constexpr MemoryKind memory_of(ExecutorKind kind) {
  return is_on_host(kind) ? MemoryKind::host : MemoryKind::device;
}

/// Owns one zeroed allocation. Its copies and its release use a stream of its own and never wait
/// for a resident kernel (`cudaFree` would). Not thread-safe.
class Memory {
 public:
  /// Throws `DeviceError` if there is not enough.
  Memory(MemoryKind kind, std::size_t bytes, int device = 0);
  ~Memory();
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  Memory(const Memory&) = delete;  // copies of large buffers should be seen in the code
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] void* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  /// Never frees it: something that cannot be ended works on it for as long as the process lasts.
  void abandon() noexcept;

  /// Copies `bytes` from or to host memory and returns when that is done.
  void upload(const void* from, std::size_t bytes, std::size_t offset = 0);
  void download(void* to, std::size_t bytes, std::size_t offset = 0) const;

 private:
  struct Stream;
  void release() noexcept;

  MemoryKind kind_;
  std::size_t bytes_;
  int device_;
  void* data_ = nullptr;
  std::unique_ptr<Stream> stream_;  // for device memory
};

/// `count` values of `T` where an executor's steps can reach them. A step holds `data()`; the
/// buffer must outlive the context. Starts as all zero bytes.
template <class T>
class Buffer {
 public:
  static_assert(std::is_trivially_copyable_v<T>, "AATGS: a Buffer holds trivially copyable values");

  /// Throws `OptionError` if that many have no size in bytes, else what `Memory` throws.
  Buffer(MemoryKind kind, std::size_t count, int device = 0)
      : memory_(kind, bytes_of(count), device) {}
  Buffer(MemoryKind kind, std::span<const T> values, int device = 0)
      : Buffer(kind, values.size(), device) {
    upload(values);
  }

  [[nodiscard]] T* data() const noexcept { return static_cast<T*>(memory_.data()); }
  [[nodiscard]] std::size_t size() const noexcept { return memory_.bytes() / sizeof(T); }

  void abandon() noexcept { memory_.abandon(); }  ///< see `Memory`

  /// Copies `values` to the elements from `first` on. Throws `UseError` beyond the end.
  void upload(std::span<const T> values, std::size_t first = 0) {
    require(first, values.size());
    memory_.upload(values.data(), values.size_bytes(), first * sizeof(T));
  }
  void download(std::span<T> into, std::size_t first = 0) const {
    require(first, into.size());
    memory_.download(into.data(), into.size_bytes(), first * sizeof(T));
  }
  [[nodiscard]] std::vector<T> download() const {
    std::vector<T> all(size());
    download(std::span<T>(all));
    return all;
  }

 private:
  static std::size_t bytes_of(std::size_t count) {
    constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T);
    if (count <= most) return count * sizeof(T);
    throw OptionError("a Buffer of " + std::to_string(count) + " elements of " +
                      std::to_string(sizeof(T)) + " bytes: at most " + std::to_string(most) +
                      " can be had");
  }
  void require(std::size_t first, std::size_t count) const {
    if (first <= size() && count <= size() - first) return;
    throw UseError("copy of " + std::to_string(count) + " elements at " + std::to_string(first) +
                   " into a Buffer of " + std::to_string(size()) +
                   ": copy a range that lies inside");
  }

  Memory memory_;
};

}  // namespace aatgs
