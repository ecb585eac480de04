// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <array>
#include <cstddef>
#include <memory>
#include <mutex>

namespace aatgs {

/// The way from one device to another through the host: two pieces of pinned memory, of which one
/// is filled by the first device while the other is emptied by the second. Thread-safe.
class StagedLink {
 public:
  /// `piece_bytes` in each piece, at least one. Throws `OptionError`, `DeviceError`. CUDA may wait
  /// for the kernels that run, for a resident one until it parks.
  StagedLink(std::shared_ptr<StreamDevice> from, std::shared_ptr<StreamDevice> to,
             std::size_t piece_bytes);
  /// Waits for its copies, 10 s at most: memory that is in use longer is never freed.
  ~StagedLink();
  StagedLink(const StagedLink&) = delete;
  StagedLink& operator=(const StagedLink&) = delete;

  /// Queued in both streams, which are of the two devices; the host goes on. What `to` is given
  /// later finds the bytes, and what `from` is given later may change the original. Copies of one
  /// link take turns. `UseError` while a stream is captured.
  void copy(Stream& to_stream, void* to, Stream& from_stream, const void* from, std::size_t bytes);

 private:
  struct Piece {
    Event filled;   ///< of the first device
    Event emptied;  ///< of the second one
  };
  void carry(Stream& to_stream, void* to, Stream& from_stream, const void* from, std::size_t bytes);

  std::shared_ptr<StreamDevice> device_;  ///< the second one
  std::size_t piece_bytes_;
  std::mutex mutex_;
  std::array<Piece, 2> pieces_;
  std::size_t turn_ = 0;  ///< of the pieces
  std::byte* memory_ = nullptr;
};

}  // namespace aatgs
