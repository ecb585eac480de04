// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <algorithm>
#include <utility>

#include "poll_until.hpp"
#include "stream_state.hpp"

namespace aatgs {

namespace {

using detail::add;
using detail::read;

}  // namespace

Stream::Stream(std::shared_ptr<StreamDevice> device, StreamOptions options)
    : state_(std::make_unique<State>(std::move(device), std::move(options))) {}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

Stream::State& Stream::open(const char* doing) const {
  if (state_ != nullptr && state_->handle != nullptr) return *state_;
  throw UseError(std::string(doing) + " in " +
                 (state_ == nullptr ? "a stream that was moved from"
                                    : "stream '" + state_->name + "' after its close") +
                 ": use it before");
}

Stream::State& Stream::known() const {
  if (state_ != nullptr) return *state_;
  throw UseError("asking a stream that was moved from: ask the one it was moved to");
}

template <class Enqueue>
void Stream::enqueue(const char* doing, Enqueue enqueue) {
  State& state = open(doing);
  detail::LatencySampler::Pair* pair = nullptr;
  try {
    if (state.has_samples &&
        detail::LatencySampler::is_sample(state.samples.fetch_add(1, std::memory_order_relaxed))) {
      pair = state.sampler.begin();
    }
    enqueue(state);
    add(state.operations);
    if (pair != nullptr) state.sampler.end(*std::exchange(pair, nullptr));
  } catch (const DeviceError& error) {
    if (pair != nullptr) state.sampler.cancel(*pair);
    throw state.named(doing, error);
  } catch (...) {
    if (pair != nullptr) state.sampler.cancel(*pair);
    throw;
  }
}

void Stream::copy(void* to, const void* from, std::size_t bytes) {
  enqueue("copying", [&](State& state) {
    state.device->copy(state.handle, to, from, bytes);
    add(state.transfers);
    add(state.bytes, bytes);
  });
}

void Stream::set(void* to, std::uint8_t value, std::size_t bytes) {
  enqueue("setting memory",
          [&](State& state) { state.device->set(state.handle, to, value, bytes); });
}

void Stream::prefetch(void* managed, std::size_t bytes, bool to_device) {
  enqueue("prefetching",
          [&](State& state) { state.device->prefetch(state.handle, managed, bytes, to_device); });
}

void Stream::run(const StreamWork& work) {
  enqueue("launching", [&](State& state) {
    state.device->run(state.handle, work);
    add(state.launches);
  });
}

void Stream::launch(const StreamGraph& graph) {
  if (graph.is_empty()) {
    throw UseError("launch of a graph into which nothing was captured: call end_capture first");
  }
  enqueue("launching a graph", [&](State& state) {
    state.device->launch(state.handle, graph.native());
    add(state.launches);
  });
}

void Stream::record(Event& event) {
  State& state = open("recording an event");
  if (event.device_ != state.device && event.device_->ordinal() != state.device->ordinal()) {
    throw UseError("stream '" + state.name + "' of " + state.device->name() +
                   " is to record an event of " + event.device_->name() +
                   ": make the event with the stream's device");
  }
  try {
    state.device->record(state.handle, event.handle_);
  } catch (const DeviceError& error) {
    throw state.named("recording an event", error);
  }
  event.recorded_.store(true, std::memory_order_release);
  add(state.operations);
}

void Stream::wait(const Event& event) {
  State& state = open("waiting for an event");
  if (event.device_->is_gpu() != state.device->is_gpu()) {
    throw UseError("stream '" + state.name + "' of " + state.device->name() +
                   " cannot wait for an event of " + event.device_->name() +
                   ": let the host wait for it");
  }
  if (!event.was_recorded()) {
    throw UseError("stream '" + state.name +
                   "' is to wait for an event that no stream has recorded, which would not wait "
                   "at all: record it first");
  }
  try {
    state.device->wait(state.handle, event.handle_);
  } catch (const DeviceError& error) {
    throw state.named("waiting for an event", error);
  }
  add(state.operations);
}

void Stream::begin_capture() {
  State& state = open("beginning a capture");
  try {
    state.device->begin_capture(state.handle);
  } catch (const DeviceError& error) {
    throw state.named("beginning a capture", error);
  }
}

void Stream::end_capture(StreamGraph& graph) {
  State& state = open("ending a capture");
  if (graph.device_ != state.device) {
    throw UseError("stream '" + state.name +
                   "' ends a capture into a graph of another device: make the graph with the "
                   "stream's");
  }
  try {
    graph.handle_ = state.device->end_capture(state.handle, graph.handle_);
  } catch (const DeviceError& error) {
    throw state.named("ending a capture", error);
  }
}

bool Stream::is_capturing() const {
  State& state = open("asking for a capture");
  return state.device->is_capturing(state.handle);
}

void Stream::on_completion(std::function<void(std::exception_ptr)> done) {
  State& state = open("asking for a callback");
  if (is_capturing()) {
    throw UseError("stream '" + state.name +
                   "' is captured: ask for the callback where its graph is launched");
  }
  state.start_callbacks().add([&](Event& event) { record(event); }, std::move(done));
}

bool Stream::is_idle() const {
  State& state = open("asking for idleness");
  try {
    return state.device->is_idle(state.handle);
  } catch (const DeviceError& error) {
    throw state.named("asking for idleness", error);
  }
}

std::exception_ptr Stream::drain(std::chrono::nanoseconds deadline) {
  State& state = open("synchronising");
  detail::CompletionThread* callbacks = state.callbacks();
  if (callbacks != nullptr && callbacks->is_this_thread()) {
    throw UseError("a callback of stream '" + state.name +
                   "' waits for the stream, and so for itself: let another thread wait");
  }
  const auto begin = std::chrono::steady_clock::now();
  std::exception_ptr failure;
  try {
    if (state.device->is_capturing(state.handle)) {
      throw UseError("stream '" + state.name + "' is captured and runs nothing: end the capture");
    }
    const auto event = state.events.lease();  // later work of other threads is not waited for
    state.device->record(state.handle, event->native());
    const auto is_done = [&] { return state.device->is_done(event->native()); };
    if (!detail::poll_until(deadline, is_done)) throw state.late("its work", deadline);
    failure = state.device->take_failure(state.handle);
  } catch (const DeviceError& error) {
    failure = std::make_exception_ptr(state.named("synchronising", error));
  }
  if (callbacks == nullptr) return failure;
  const auto left = deadline - (std::chrono::steady_clock::now() - begin);
  if (!callbacks->wait(std::max<std::chrono::nanoseconds>(left, {}))) {
    throw state.late("a callback", deadline);
  }
  const std::exception_ptr thrown = callbacks->take_failure();
  return failure != nullptr ? failure : thrown;
}

void Stream::synchronize(std::chrono::nanoseconds deadline) {
  if (const std::exception_ptr failure = drain(deadline)) std::rethrow_exception(failure);
  if (is_idle()) state_->device->settle(state_->handle);
}

void Stream::close(std::chrono::nanoseconds deadline) {
  if (state_ == nullptr || state_->handle == nullptr) return;
  const std::exception_ptr failure = drain(deadline);
  state_->end();
  if (failure != nullptr) std::rethrow_exception(failure);
}

StreamMetrics Stream::metrics() const {
  State& state = known();
  StreamMetrics metrics;
  metrics.operations = read(state.operations);
  metrics.transfers = read(state.transfers);
  metrics.bytes = read(state.bytes);
  metrics.launches = read(state.launches);
  metrics.peak_bytes = static_cast<std::size_t>(state.life->peak_allocated.load());
  const auto timed = state.sampler.total();
  metrics.timed = timed.count;
  if (timed.count != 0) {
    metrics.mean_latency = timed.time / static_cast<std::int64_t>(timed.count);
  }
  return metrics;
}

const std::shared_ptr<detail::StreamLife>& Stream::life() const {
  return open("keeping account").life;
}

const std::string& Stream::name() const {
  return known().name;
}
StreamPriority Stream::priority() const {
  return known().priority;
}
std::uint64_t Stream::id() const {
  return known().id;
}
void* Stream::native() const {
  const State& state = open("asking for the handle");
  return state.device->is_gpu() ? state.handle : nullptr;
}
void* Stream::handle() const {
  return open("asking for the handle").handle;
}
const std::shared_ptr<StreamDevice>& Stream::device() const {
  return known().device;
}

}  // namespace aatgs
