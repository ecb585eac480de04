// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

namespace aatgs {

/// How soon a stream's work gets its turn, mapped to what the device has: with two levels, `normal`
/// and `low` are the same, which `StreamDevice::priority_levels` tells. `low` is what streams have
/// that are made without a priority by CUDA itself.
enum class StreamPriority { high, normal, low };

/// What a piece of a user's work is given. On a GPU it launches kernels, or calls a library, into
/// `native`, a `cudaStream_t`, and returns; on host threads `native` is null and it does the work.
struct StreamTarget {
  bool is_gpu;
  void* native;
};
using StreamWork = std::function<void(StreamTarget)>;

/// What a memory pool keeps and may take.
struct MemoryPoolLimits {
  std::uint64_t keep_bytes = 0;  ///< free memory it keeps at synchronisations, CUDA's threshold
  std::uint64_t most_bytes = 0;  ///< 0: what the device has
};

/// What a memory pool holds (bytes), now and at most since it was made or `reset_pool_peaks`.
struct MemoryPoolUse {
  std::uint64_t used = 0, used_peak = 0;          ///< by allocations that no stream has freed yet
  std::uint64_t reserved = 0, reserved_peak = 0;  ///< taken from the device
};

/// Where streams run: a GPU by CUDA's own streams, or host threads, one for each stream, which lets
/// solvers built on streams run and be tested anywhere. The few operations that the rest of the
/// layer is made of; use `Stream` and `Event`. Thread-safe. Failures throw `DeviceError`. A GPU's
/// functions leave that GPU selected on the calling thread. What is made with null in place of one
/// throws `UseError`.
///
/// Handles are CUDA's own on a GPU (`cudaStream_t`, `cudaEvent_t`, `cudaGraphExec_t`,
/// `cudaMemPool_t`).
class StreamDevice {
 public:
  StreamDevice() = default;
  StreamDevice(const StreamDevice&) = delete;
  StreamDevice& operator=(const StreamDevice&) = delete;
  virtual ~StreamDevice() = default;

  [[nodiscard]] virtual bool is_gpu() const = 0;
  /// CUDA's ordinal; -1 for host threads.
  [[nodiscard]] virtual int ordinal() const = 0;
  [[nodiscard]] virtual std::string name() const = 0;
  /// Different priorities that streams can have here; 1: priorities have no effect.
  [[nodiscard]] virtual int priority_levels() const = 0;

  virtual void* make_stream(StreamPriority priority) = 0;
  /// Work in it still runs to its end.
  virtual void destroy_stream(void* stream) noexcept = 0;
  /// Never given twice in a process, unlike handles.
  [[nodiscard]] virtual std::uint64_t stream_id(void* stream) const = 0;
  virtual void* make_event(bool timed) = 0;
  /// Also one that a stream is still to reach.
  virtual void destroy_event(void* event) noexcept = 0;

  /// Queued behind what the stream holds; the host goes on. Directions follow from the addresses.
  /// A copy from or to pageable host memory may keep the host waiting on a GPU.
  virtual void copy(void* stream, void* to, const void* from, std::size_t bytes) = 0;
  virtual void set(void* stream, void* to, std::uint8_t value, std::size_t bytes) = 0;
  /// Managed memory only; `UseError` where the device cannot. `to_device` false: to the host.
  virtual void prefetch(void* stream, void* data, std::size_t bytes, bool to_device) = 0;
  virtual void run(void* stream, const StreamWork& work) = 0;
  virtual void record(void* stream, void* event) = 0;
  /// What the stream is given from now on waits for the event's last record; the host does not.
  virtual void wait(void* stream, void* event) = 0;

  [[nodiscard]] virtual bool is_idle(void* stream) = 0;
  /// An idle stream is waited for once more, by the device's own means: only then CUDA counts what
  /// was freed in it as memory that `trim_pool` can give back.
  virtual void settle([[maybe_unused]] void* stream) {}
  /// Whether the last record has been reached; true for an event that was never recorded.
  [[nodiscard]] virtual bool is_done(void* event) = 0;
  /// What work before the event's last record threw on a host thread, in its stream or in one that
  /// this waited for; null: nothing, and on a GPU, whose failures the calls themselves throw. A
  /// stream's later records have it too, until `take_failure`.
  [[nodiscard]] virtual std::exception_ptr failure(void* event) = 0;
  /// The same of a stream; it forgets it.
  [[nodiscard]] virtual std::exception_ptr take_failure(void* stream) = 0;
  /// Between two timed events, both done.
  [[nodiscard]] virtual std::chrono::nanoseconds elapsed(void* from, void* to) = 0;

  /// Host memory that copies reach at full speed. Zeroed.
  virtual void* allocate_pinned(std::size_t bytes) = 0;
  virtual void free_pinned(void* data) noexcept = 0;
  /// Device memory in stream order, from a pool (null: the device's default one). Not zeroed.
  /// `UseError` while the stream is captured.
  virtual void* allocate(void* stream, std::size_t bytes, void* pool) = 0;
  virtual void free(void* stream, void* data) = 0;
  virtual void* make_pool(const MemoryPoolLimits& limits) = 0;
  /// Memory from it stays valid until it is freed.
  virtual void destroy_pool(void* pool) noexcept = 0;
  [[nodiscard]] virtual MemoryPoolUse pool_use(void* pool) = 0;
  virtual void reset_pool_peaks(void* pool) = 0;
  /// Gives free memory beyond `keep` bytes back to the device.
  virtual void trim_pool(void* pool, std::size_t keep) = 0;

  /// Whether `other` can reach this device's memory without the host in between.
  [[nodiscard]] virtual bool can_share_with(const StreamDevice& other) const {
    return !is_gpu() && !other.is_gpu();
  }
  /// From now on it does, in copies and kernels: memory of this device's pools, too. This stays so
  /// for the whole process.
  virtual void share_with([[maybe_unused]] const StreamDevice& other) {}

  /// From here until `end_capture` the stream's operations are kept instead of run, and those of
  /// streams that wait for events recorded in it meanwhile; it must wait for these streams again
  /// before the end. An event recorded meanwhile is good for nothing but such waits.
  virtual void begin_capture(void* stream) = 0;
  [[nodiscard]] virtual bool is_capturing(void* stream) = 0;
  /// Brings `graph` (null: a new one) to what was captured and returns it; a graph of another shape
  /// is replaced.
  virtual void* end_capture(void* stream, void* graph) = 0;
  virtual void launch(void* stream, void* graph) = 0;
  virtual void destroy_graph(void* graph) noexcept = 0;
};

/// A CUDA device. Throws `DeviceError` that says why it cannot be used.
std::shared_ptr<StreamDevice> make_gpu_stream_device(int ordinal);
/// Host threads.
std::shared_ptr<StreamDevice> make_cpu_stream_device();

}  // namespace aatgs
