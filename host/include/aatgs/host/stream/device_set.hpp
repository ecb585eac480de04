// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/staged_link.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <aatgs/host/stream/stream_ordered_allocator.hpp>
#include <aatgs/host/stream/stream_pool.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

/// How bytes come from one device to another.
enum class DeviceLink {
  same,    ///< it is one device
  peer,    ///< directly: NVLink or the bus
  staged,  ///< in pieces through pinned host memory, see `StagedLink`
};
[[nodiscard]] std::string_view to_string(DeviceLink link);

struct DeviceSetOptions {
  /// Copies between two devices go through the host even where they need not.
  bool prefer_staged = false;
  std::size_t piece_bytes = std::size_t{4} << 20;  ///< of a staged link, which has two
  StreamPoolOptions streams{};
  StreamOrderedAllocatorOptions memory{};
};

/// Ordinals of all GPUs that the process sees, from 0 on. `DeviceError` says why there is none.
[[nodiscard]] std::vector<int> all_gpus();

/// Devices that one program works with, numbered from 0 in the order in which they were named. Of
/// each, made when first asked for: a pool of streams and an allocator. Thread-safe.
///
/// An index beyond the end throws `UseError`. A kernel's fault on one GPU may end CUDA for the whole
/// process; then calls on the others throw that `DeviceError` as well.
class DeviceSet {
 public:
  /// GPUs by their ordinals. Throws `OptionError` for none, and for one that is named twice;
  /// `DeviceError` for one that is not there.
  static DeviceSet gpus(std::span<const int> ordinals, DeviceSetOptions options = {});
  /// Host threads as `count` devices: for tests, and machines without GPUs.
  static DeviceSet cpu(std::size_t count, DeviceSetOptions options = {});
  /// Either kind. Throws `OptionError` for none, for both kinds, and for a device named twice.
  explicit DeviceSet(std::vector<std::shared_ptr<StreamDevice>> devices,
                     DeviceSetOptions options = {});
  /// Streams, memory and links end; `StagedLink` says for what that waits.
  ~DeviceSet();
  DeviceSet(const DeviceSet&) = delete;
  DeviceSet& operator=(const DeviceSet&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device(std::size_t index) const;
  [[nodiscard]] StreamPool& pool(std::size_t index);
  [[nodiscard]] StreamOrderedAllocator& memory(std::size_t index);

  [[nodiscard]] DeviceLink link(std::size_t from, std::size_t to) const;
  /// What the first copy from one to the other does otherwise: peer access is switched on, for the
  /// whole process, or pinned memory is had, for which CUDA may wait for a resident kernel to park.
  void prepare(std::size_t from, std::size_t to);

  /// Copies between streams of any two devices of the set, in the order of both: bytes are read
  /// when `from_stream` comes to it and written when `to_stream` does, and what either is given
  /// later comes after. The host goes on. `UseError` for a stream of another device, and for one
  /// that is captured if the link is staged; `DeviceError`.
  void copy(Stream& to_stream, void* to, Stream& from_stream, const void* from, std::size_t bytes);

  /// For people: the links as a table, and the names of the devices.
  [[nodiscard]] std::string describe() const;

 private:
  struct Member {
    std::shared_ptr<StreamDevice> device;
    std::unique_ptr<EventPool> events;
    std::unique_ptr<StreamPool> pool;
    std::unique_ptr<StreamOrderedAllocator> memory;
  };
  /// The way from one member to another.
  struct Way {
    DeviceLink link = DeviceLink::same;
    bool is_ready = false;
    std::unique_ptr<StagedLink> staged;
  };
  [[nodiscard]] std::size_t checked(std::size_t index) const;
  [[nodiscard]] std::size_t index_of(const Stream& stream) const;
  [[nodiscard]] Way& way(std::size_t from, std::size_t to) { return ways_[from * size() + to]; }
  void copy_directly(std::size_t from, std::size_t to, Stream& to_stream, void* target,
                     Stream& from_stream, const void* source, std::size_t bytes);

  DeviceSetOptions options_;
  mutable std::mutex mutex_;  ///< of what is made when first asked for
  std::vector<Member> members_;
  std::vector<Way> ways_;
};

}  // namespace aatgs
