// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace aatgs {

/// What a stream of a solver is for.
enum class StreamPurpose {
  config_upload,
  kernel_execution,
  telemetry_download,
  peer_transfer,
  auxiliary_compute,
};
inline constexpr std::size_t stream_purposes = 5;

/// Such as "config upload".
[[nodiscard]] std::string_view to_string(StreamPurpose purpose);

/// By purpose, in the order of `StreamPurpose`.
struct StreamPoolOptions {
  /// Shared streams, at least one each.
  std::array<unsigned, stream_purposes> shared{1, 2, 1, 1, 1};
  /// Streams that can be leased at once, beside the shared ones.
  std::array<unsigned, stream_purposes> leased{4, 4, 4, 4, 4};
  /// Small transfers that others wait for go before kernels, and what nobody waits for after.
  std::array<StreamPriority, stream_purposes> priority{StreamPriority::high, StreamPriority::normal,
                                                       StreamPriority::high, StreamPriority::normal,
                                                       StreamPriority::low};
  bool metrics = true;  ///< see `StreamOptions`
};

/// Streams of one device by purpose, made once. Thread-safe; outlives what it has lent.
class StreamPool {
 public:
  /// Throws `OptionError` for a purpose without shared streams.
  explicit StreamPool(std::shared_ptr<StreamDevice> device, StreamPoolOptions options = {});
  StreamPool(const StreamPool&) = delete;
  StreamPool& operator=(const StreamPool&) = delete;

  /// One of the purpose's shared streams, by turns; others may use it too.
  [[nodiscard]] Stream& shared(StreamPurpose purpose);

  /// Gives its stream back at its end. Work may still be in it: whoever has it next comes after.
  struct Return {
    StreamPool* pool;
    StreamPurpose purpose;
    void operator()(Stream* stream) const noexcept;
  };
  using Lease = std::unique_ptr<Stream, Return>;
  /// A stream that nobody else is given meanwhile; idle if possible. `UseError` if all are leased.
  [[nodiscard]] Lease lease(StreamPurpose purpose);

  /// Whether the work of one of the purpose's shared streams is done.
  [[nodiscard]] bool has_ready_streams(StreamPurpose purpose);
  /// The first of the purpose's shared streams whose work given until now is done; null: none was
  /// within `timeout`.
  [[nodiscard]] Stream* wait_for_any_ready(StreamPurpose purpose, std::chrono::nanoseconds timeout);
  /// Waits for the work of all, leased ones as well; throws what `Stream::synchronize` does, after
  /// having waited for the others.
  void synchronize_all(std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  /// Streams made so far.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const noexcept { return device_; }

 private:
  struct Group {
    std::vector<std::unique_ptr<Stream>> shared;
    std::atomic<unsigned> next = 0;
    std::vector<std::unique_ptr<Stream>> leasable;  ///< all of them
    std::vector<Stream*> free;                      ///< those not leased, the longest free first
  };
  std::unique_ptr<Stream> make(StreamPurpose purpose, const char* kind, std::size_t number) const;
  Group& group(StreamPurpose purpose) { return groups_[static_cast<std::size_t>(purpose)]; }

  std::shared_ptr<StreamDevice> device_;
  StreamPoolOptions options_;
  EventPool events_;
  mutable std::mutex mutex_;  ///< of `leasable` and `free`
  std::array<Group, stream_purposes> groups_;
};

}  // namespace aatgs
