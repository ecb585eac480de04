// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

namespace aatgs {

/// A point in a stream's work that others can wait for. Owns its handle. One thread at a time;
/// `is_done` and waiting from any.
class Event {
 public:
  /// `timed`: `elapsed_since` works; costs a little more.
  explicit Event(std::shared_ptr<StreamDevice> device, bool timed = false);
  ~Event();
  Event(Event&&) noexcept;
  Event& operator=(Event&&) noexcept;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Whether some stream has recorded it.
  [[nodiscard]] bool was_recorded() const noexcept {
    return recorded_.load(std::memory_order_acquire);
  }
  /// Whether the streams have come to its last record; `UseError` if it never was recorded. Throws
  /// what work before it threw, see `StreamDevice::failure`.
  [[nodiscard]] bool is_done() const;
  /// The host waits. Throws `TimeoutError` after `deadline`, and what `is_done` throws.
  void wait(std::chrono::nanoseconds deadline) const;
  /// Both timed, recorded and done, else `UseError`.
  [[nodiscard]] std::chrono::nanoseconds elapsed_since(const Event& earlier) const;

  /// CUDA's `cudaEvent_t`, or the host's own.
  [[nodiscard]] void* native() const noexcept { return handle_; }
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device() const noexcept { return device_; }

 private:
  friend class EventPool;
  friend class Stream;
  void require_recorded(const char* doing) const;

  std::shared_ptr<StreamDevice> device_;
  void* handle_ = nullptr;
  bool timed_ = false;
  std::atomic<bool> recorded_ = false;
};

/// Events of one device that are used again instead of made again: making one costs CUDA about a
/// microsecond. Thread-safe; must outlive what it has lent.
class EventPool {
 public:
  explicit EventPool(std::shared_ptr<StreamDevice> device, bool timed = false);
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;

  /// Gives its event back at its end. A record that is still to come does not matter: a new record
  /// takes its place.
  struct Return {
    EventPool* pool;
    void operator()(Event* event) const noexcept;
  };
  using Lease = std::unique_ptr<Event, Return>;

  /// An event that counts as never recorded.
  [[nodiscard]] Lease lease();
  /// Events made so far: lent and free ones.
  [[nodiscard]] std::size_t size() const;

 private:
  void give_back(Event* event) noexcept;

  std::shared_ptr<StreamDevice> device_;
  bool timed_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Event>> free_;
  std::size_t made_ = 0;
};

}  // namespace aatgs
