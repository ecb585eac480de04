// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <atomic>
#include <mutex>
#include <utility>

#include "checked_device.hpp"
#include "completion_thread.hpp"
#include "latency_sampler.hpp"
#include "poll_until.hpp"
#include "stream_life.hpp"

namespace aatgs {

namespace detail {

inline void add(std::atomic<std::uint64_t>& counter, std::uint64_t number = 1) {
  counter.fetch_add(number, std::memory_order_relaxed);
}

inline std::uint64_t read(const std::atomic<std::uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

}  // namespace detail

struct Stream::State {
  State(std::shared_ptr<StreamDevice> on, StreamOptions options)
      : device(detail::checked_device(std::move(on), "stream '" + options.name + "'")),
        handle(device->make_stream(options.priority)),
        guard{*this},
        id(device->stream_id(handle)),
        name(options.name.empty() ? "stream " + std::to_string(id) : std::move(options.name)),
        priority(options.priority),
        life(std::make_shared<detail::StreamLife>(id, name, handle)),
        has_samples(options.metrics),
        sampler(*device, handle),
        events(device) {}
  ~State() { end(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void end() noexcept {
    if (handle == nullptr) return;
    drop_capture();
    completions.reset();
    sampler.destroy();
    life->end(*device);
    device->destroy_stream(std::exchange(handle, nullptr));
  }
  /// An exception may end the stream between `begin_capture` and `end_capture`.
  void drop_capture() noexcept {
    try {
      if (device->is_capturing(handle)) device->destroy_graph(device->end_capture(handle, nullptr));
    } catch (...) {  // it is not whole, or another stream's
    }
  }
  DeviceError named(const char* doing, const DeviceError& error) const {
    return {"stream '" + name + "', " + doing + ": " + error.what(), error.code_name()};
  }
  TimeoutError late(const char* what, std::chrono::nanoseconds deadline) const {
    return TimeoutError("stream '" + name + "' on " + device->name() + ": " + what +
                        " took longer than " + detail::in_ms(deadline) + " (" +
                        std::to_string(detail::read(operations)) +
                        " operations given): look what that waits for, or give it more time");
  }
  detail::CompletionThread* callbacks() {
    const std::lock_guard lock(mutex);
    return completions.get();
  }
  detail::CompletionThread& start_callbacks() {
    const std::lock_guard lock(mutex);
    if (!completions) completions = std::make_unique<detail::CompletionThread>(device);
    return *completions;
  }

  /// For a constructor that throws after the handle was made.
  struct Guard {
    State& state;
    ~Guard() {
      if (state.handle != nullptr) state.device->destroy_stream(state.handle);
    }
  };

  std::shared_ptr<StreamDevice> device;
  void* handle;
  Guard guard;
  std::uint64_t id;
  std::string name;
  StreamPriority priority;
  std::shared_ptr<detail::StreamLife> life;
  bool has_samples;
  std::atomic<std::uint64_t> operations{0}, transfers{0}, bytes{0}, launches{0}, samples{0};
  detail::LatencySampler sampler;
  EventPool events;
  std::mutex mutex;
  std::unique_ptr<detail::CompletionThread> completions;
};

}  // namespace aatgs
