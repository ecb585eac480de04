// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/stream_device.hpp>
#include <aatgs/host/stream/stream_graph.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

namespace aatgs {

namespace detail {
struct StreamLife;
}

/// What a stream has been given. Counters of the host; the latency from timed events.
struct StreamMetrics {
  std::uint64_t operations = 0;  ///< of every kind
  std::uint64_t transfers = 0;
  std::uint64_t bytes = 0;                   ///< of transfers
  std::uint64_t launches = 0;                ///< `run` and graph launches
  std::uint64_t timed = 0;                   ///< operations behind `mean_latency`
  std::chrono::nanoseconds mean_latency{0};  ///< of one operation in one of 16, start to end
  std::size_t peak_bytes = 0;  ///< allocated at once in its order, see `StreamOrderedAllocator`
};

struct StreamOptions {
  std::string name{};  ///< for messages and reports; empty: "stream ID"
  StreamPriority priority = StreamPriority::normal;
  bool metrics = true;  ///< whether latencies are sampled; counters always are
};

/// A queue of work that a device does in order, beside other streams. The host goes on at once.
/// Owns its handle; its end does not wait for the work, and drops a capture that was not ended.
/// Calls from several threads are allowed; the order between them is theirs to make; not beside
/// `close`, moves and the end. Failures throw `DeviceError` naming the stream; use after `close`
/// throws `UseError`. What a `run` throws on a host thread is kept, and later work runs; events
/// that follow and `synchronize` throw it.
class Stream {
 public:
  explicit Stream(std::shared_ptr<StreamDevice> device, StreamOptions options = {});
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Between host and device or within either; see `StreamDevice::copy`.
  void copy(void* to, const void* from, std::size_t bytes);
  void set(void* to, std::uint8_t value, std::size_t bytes);
  void prefetch(void* managed, std::size_t bytes, bool to_device = true);
  /// Kernels and library calls, see `StreamTarget`.
  void run(const StreamWork& work);

  void record(Event& event);
  /// Later work of this stream waits for `event` on the device. `UseError` if it never was recorded
  /// or belongs to host threads while this is a GPU's, or the other way round.
  void wait(const Event& event);

  /// Until `end_capture` the operations are kept instead of run, see
  /// `StreamDevice::begin_capture`.
  void begin_capture();
  /// Brings `graph` to what was captured.
  void end_capture(StreamGraph& graph);
  [[nodiscard]] bool is_capturing() const;
  /// Runs what was captured, as one operation.
  void launch(const StreamGraph& graph);

  /// Calls `done` on a thread of this stream when the work so far is done, one after the other; it
  /// may call CUDA and use this stream, but not wait for it. What it throws is kept and thrown by
  /// the next `synchronize`. Null pointer: all went well; else the error of the device or work.
  /// After the stream's end it is still called.
  void on_completion(std::function<void(std::exception_ptr)> done);

  [[nodiscard]] bool is_idle() const;
  /// The host waits for all work so far and for its callbacks; then throws the first thing that
  /// these threw since last time. `TimeoutError` names the stream.
  void synchronize(std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  /// Ends it: waits for the work and callbacks; later calls throw `UseError`, but for `close`
  /// and questions such as `name`, `id`, `metrics`. Throws what `synchronize` throws; after a
  /// `TimeoutError` it is still open.
  void close(std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  [[nodiscard]] StreamMetrics metrics() const;
  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] StreamPriority priority() const;
  /// Never given twice in a process: key what belongs to a stream on this, not on `native`.
  [[nodiscard]] std::uint64_t id() const;
  /// A `cudaStream_t`, from which `cuda::stream_ref` is made; null for host threads.
  [[nodiscard]] void* native() const;
  /// What the device's functions take.
  [[nodiscard]] void* handle() const;
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const;

 private:
  friend class StreamOrderedAllocator;
  /// What is known of it after its end.
  [[nodiscard]] const std::shared_ptr<detail::StreamLife>& life() const;
  struct State;
  [[nodiscard]] State& known() const;
  [[nodiscard]] State& open(const char* doing) const;
  std::exception_ptr drain(std::chrono::nanoseconds deadline);
  template <class Enqueue>
  void enqueue(const char* doing, Enqueue enqueue);

  std::unique_ptr<State> state_;
};

}  // namespace aatgs
