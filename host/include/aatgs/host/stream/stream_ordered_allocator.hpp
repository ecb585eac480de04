// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace aatgs {

struct StreamOrderedAllocatorOptions {
  /// A memory pool for each stream, so that none takes what another gave back; else one for all.
  bool pool_per_stream = false;
  /// Free memory that a pool keeps when the device is synchronised. Little makes allocating slow.
  std::uint64_t keep_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t most_bytes = 0;  ///< of a pool; 0: what the device has
};

/// What was allocated and not freed, by the host's calls.
struct AllocatorUse {
  std::uint64_t bytes = 0, peak_bytes = 0;
  std::uint64_t blocks = 0;
  std::uint64_t allocations = 0, frees = 0;  ///< so far
};

struct AllocatorStats {
  struct OfStream {
    std::string name;
    std::uint64_t id = 0;
    AllocatorUse use;
  };
  AllocatorUse all;
  std::vector<OfStream>
      streams;          ///< by the stream of the allocation; ended ones while they hold some
  MemoryPoolUse pools;  ///< of all pools together, as the device sees it
};

class StreamMemory;

/// Device memory in the order of streams, from CUDA's memory pools: an allocation may be used by
/// what its stream is given after, and a free takes place when the stream comes to it. Neither
/// waits nor synchronises. On host threads: plain memory with the same rules. Thread-safe.
///
/// Every pointer is kept account of: `UseError`, which names pointer and stream, for a double free,
/// a pointer that is not from here, and a stream that was closed.
class StreamOrderedAllocator {
 public:
  explicit StreamOrderedAllocator(std::shared_ptr<StreamDevice> device,
                                  StreamOrderedAllocatorOptions options = {});
  /// Frees what is left, but for what captured streams use; `StreamMemory` keeps what it needs of
  /// the allocator until its own end.
  ~StreamOrderedAllocator();
  StreamOrderedAllocator(const StreamOrderedAllocator&) = delete;
  StreamOrderedAllocator& operator=(const StreamOrderedAllocator&) = delete;

  /// Not zeroed, aligned to 256 bytes. `DeviceError` if there is not enough even when the pools
  /// have given back what is free in them; it tells which stream holds how much. `UseError` while
  /// the stream is captured.
  [[nodiscard]] void* allocate(Stream& stream, std::size_t bytes);
  [[nodiscard]] StreamMemory allocate_owned(Stream& stream, std::size_t bytes);

  /// `stream` is going to use the memory: it waits for what the stream of the allocation has been
  /// given so far, and a free will wait for what `stream` was given until then.
  void use_in(void* data, Stream& stream);
  /// `stream` was given its last use: a free waits for this point of it, not for later work.
  /// `UseError` while `stream` is captured.
  void done_in(void* data, Stream& stream);
  /// Freed when `stream` comes to it, which waits by events for the stream of the allocation and
  /// for all that `use_in` named.
  void free(Stream& stream, void* data);
  /// Frees all that was allocated in `stream`, there. Returns the number of blocks. What cannot be
  /// freed stays allocated, and the first reason is thrown.
  std::size_t free_for_stream(Stream& stream);

  [[nodiscard]] AllocatorStats stats() const;
  /// Gives memory that is free in the pools back to the device, but for `keep` bytes of each.
  void trim(std::size_t keep = 0);

 private:
  friend class StreamMemory;
  struct Core;
  std::pair<void*, std::uint64_t> allocate_numbered(Stream& stream, std::size_t bytes);

  std::shared_ptr<Core> core_;
};

/// Owns memory of a `StreamOrderedAllocator`. Its end frees it in the stream of the allocation; if
/// that has ended, after the work that was in it. One thread at a time.
class StreamMemory {
 public:
  StreamMemory() = default;
  ~StreamMemory() { free(); }
  StreamMemory(StreamMemory&& other) noexcept
      : core_(std::move(other.core_)),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)),
        number_(other.number_) {}
  StreamMemory& operator=(StreamMemory&& other) noexcept;

  [[nodiscard]] void* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  void free() noexcept;

 private:
  friend class StreamOrderedAllocator;
  std::shared_ptr<StreamOrderedAllocator::Core> core_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace aatgs
