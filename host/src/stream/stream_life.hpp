// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/event.hpp>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace aatgs::detail {

/// What others may know of a stream after its end.
struct StreamLife {
  StreamLife(std::uint64_t of, std::string called, void* with)
      : id(of), name(std::move(called)), handle(with) {}

  /// Whoever keeps account of what is in the stream asks for its end to be an event.
  void want_end_event(const std::shared_ptr<StreamDevice>& device) {
    const std::lock_guard lock(mutex);
    if (!end_event) end_event.emplace(device);
  }
  /// Makes `stream` wait for what this one was given, also if it has ended by now. `event` is one
  /// to use.
  void let_wait(StreamDevice& device, void* stream, Event& event) {
    const std::lock_guard lock(mutex);
    if (handle != nullptr ? device.is_capturing(handle) : ended_captured) {
      throw UseError("stream '" + name +
                     "' is captured, and cannot be waited for: end the capture first");
    }
    if (handle != nullptr) {
      device.record(handle, event.native());
      device.wait(stream, event.native());
    } else if (end_event) {
      device.wait(stream, end_event->native());
    }
  }
  /// Called by the stream, whose handle is destroyed next.
  void end(StreamDevice& device) noexcept {
    const std::lock_guard lock(mutex);
    try {
      ended_captured = end_event && device.is_capturing(handle);
      if (end_event && !ended_captured) device.record(handle, end_event->native());
    } catch (...) {
      end_event.reset();  // the device failed: there is nothing to be in order with
    }
    handle = nullptr;
  }
  void note_allocated(std::int64_t bytes) {
    const std::int64_t now = allocated.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    std::int64_t peak = peak_allocated.load(std::memory_order_relaxed);
    while (now > peak && !peak_allocated.compare_exchange_weak(peak, now)) {
    }
  }

  const std::uint64_t id;
  const std::string name;
  std::mutex mutex;  ///< of the next three; held while the handle is used
  void* handle;      ///< null after the end
  /// In another stream's capture: no event tells when what it was given before is done.
  bool ended_captured = false;
  std::optional<Event> end_event;
  std::atomic<std::int64_t> allocated{0}, peak_allocated{0};
};

}  // namespace aatgs::detail
