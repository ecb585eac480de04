// SPDX-License-Identifier: Apache-2.0
// Streams and events on host threads. Each hazard is one that systems with stream layers had:
// copies that went nowhere, events that were no-ops, "idle" that was always true.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <array>
#include <atomic>
#include <latch>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "forwarding_device.hpp"
#include "stream_gate.hpp"

namespace aatgs::test {
namespace {

using namespace std::chrono_literals;

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a stream holds the work it was given: nothing runs before what precedes it") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  Gate gate;
  std::vector<int> order;
  gate.hold(stream);
  for (int i = 0; i < 100; ++i) stream.run([&order, i](StreamTarget) { order.push_back(i); });
  CHECK_FALSE(stream.is_idle());
  gate.open();
  stream.synchronize(patience);
  CHECK(stream.is_idle());
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
}

TEST_CASE("copies go somewhere, whole, and only when their turn comes") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  Gate gate;
  std::vector<int> from(1000), middle(1000, -1), to(1000, -1);
  std::iota(from.begin(), from.end(), 7);
  gate.hold(stream);
  stream.copy(middle.data(), from.data(), from.size() * sizeof(int));
  stream.set(middle.data() + 10, 0, 5 * sizeof(int));
  stream.copy(to.data(), middle.data(), to.size() * sizeof(int));
  CHECK(to[0] == -1);
  gate.open();
  stream.synchronize(patience);
  CHECK(to[9] == 16);
  CHECK(to[10] == 0);
  CHECK(to[14] == 0);
  CHECK(to[15] == 22);
  CHECK(to[999] == 1006);
}

TEST_CASE("an event is no no-op: it is done when its stream has come to it, and not before") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  Event event(device);
  Gate gate;
  gate.hold(stream);
  stream.record(event);
  CHECK(event.was_recorded());
  CHECK_FALSE(event.is_done());
  CHECK_THROWS_AS(event.wait(10ms), TimeoutError);
  gate.open();
  event.wait(patience);
  CHECK(event.is_done());
}

TEST_CASE("a stream that waits for an event does not start before it, and the host goes on") {
  const auto device = make_cpu_stream_device();
  Stream first(device), second(device);
  Event event(device);
  Gate gate;
  std::atomic<int> value{0};
  std::atomic<int> seen{-1};
  gate.hold(first);
  first.run([&](StreamTarget) { value = 42; });
  first.record(event);
  second.wait(event);  // returns though the gate is shut
  second.run([&](StreamTarget) { seen = value.load(); });
  std::this_thread::sleep_for(5ms);  // time to be wrong
  CHECK_FALSE(second.is_idle());
  CHECK(seen == -1);
  gate.open();
  second.synchronize(patience);
  CHECK(seen == 42);
}

TEST_CASE("wait takes the record that was the last when it was called, not a later one") {
  const auto device = make_cpu_stream_device();
  Stream first(device), second(device);
  Event event(device);
  first.record(event);
  first.synchronize(patience);
  second.wait(event);
  Gate gate;
  gate.hold(first);
  first.record(event);  // a later one, still to come
  CHECK_FALSE(event.is_done());
  second.synchronize(patience);
  gate.open();
  first.synchronize(patience);
}

TEST_CASE("a wait for an event that was never recorded would not wait: it is refused") {
  const auto device = make_cpu_stream_device();
  Stream stream(device, {.name = "solver"});
  Event event(device);
  CHECK_THROWS_AS(stream.wait(event), UseError);
  CHECK(message_of([&] { stream.wait(event); }).find("solver") != std::string::npos);
  CHECK_THROWS_AS((void)event.is_done(), UseError);
  CHECK_THROWS_AS(event.wait(1ms), UseError);
}

TEST_CASE("elapsed time is that between the records; untimed or unfinished events are refused") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  Event begin(device, true), end(device, true), untimed(device);
  stream.record(begin);
  stream.run([](StreamTarget) { std::this_thread::sleep_for(5ms); });
  stream.record(end);
  stream.record(untimed);
  stream.synchronize(patience);
  CHECK(end.elapsed_since(begin) >= 5ms);
  CHECK_THROWS_AS((void)end.elapsed_since(untimed), UseError);
  Gate gate;
  gate.hold(stream);
  stream.record(end);
  CHECK_THROWS_AS((void)end.elapsed_since(begin), UseError);
  gate.open();
  stream.synchronize(patience);
}

TEST_CASE(
    "an event that comes back from the pool counts as never recorded, and none is made anew") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  EventPool pool(device);
  const Event* used = nullptr;
  {
    const auto lease = pool.lease();
    used = lease.get();
    stream.record(*lease);
  }
  const auto again = pool.lease();
  CHECK(again.get() == used);
  CHECK_FALSE(again->was_recorded());
  CHECK(pool.size() == 1);
  const auto other = pool.lease();
  CHECK(other.get() != used);
  CHECK(pool.size() == 2);
  stream.synchronize(patience);
}

TEST_CASE("an event ends before its record is reached") {
  const auto device = make_cpu_stream_device();
  Stream first(device), second(device);
  Gate gate;
  std::atomic<bool> passed{false};
  gate.hold(first);
  {
    Event event(device);
    first.record(event);
    second.wait(event);
  }
  second.run([&](StreamTarget) { passed = true; });
  CHECK_FALSE(second.is_idle());
  gate.open();
  second.synchronize(patience);
  CHECK(passed);
}

TEST_CASE("a callback is called once, after the work before it, on another thread") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  Gate gate;
  std::atomic<int> calls{0};
  std::atomic<bool> too_early{false};
  std::atomic<bool> is_open{false};
  std::thread::id thread;
  gate.hold(stream);
  stream.on_completion([&](std::exception_ptr error) {
    too_early = !is_open || error != nullptr;
    thread = std::this_thread::get_id();
    stream.run([](StreamTarget) {});  // it may use the stream
    ++calls;
  });
  CHECK(calls == 0);
  is_open = true;
  gate.open();
  stream.synchronize(patience);
  CHECK(calls == 1);
  CHECK_FALSE(too_early);
  CHECK(thread != std::this_thread::get_id());
}

TEST_CASE("what a callback throws is thrown by synchronize, once, and later callbacks are called") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  std::atomic<int> calls{0};
  stream.on_completion([](std::exception_ptr) { throw std::logic_error("of the callback"); });
  stream.on_completion([&](std::exception_ptr) { ++calls; });
  CHECK_THROWS_WITH_AS(stream.synchronize(patience), "of the callback", std::logic_error);
  CHECK(calls == 1);
  stream.synchronize(patience);
}

TEST_CASE("a callback that waits for its own stream is refused instead of hanging") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  stream.on_completion([&](std::exception_ptr) { stream.synchronize(patience); });
  CHECK_THROWS_AS(stream.synchronize(patience), UseError);
}

TEST_CASE("what work throws on a host thread is thrown by events after it and by synchronize") {
  const auto device = make_cpu_stream_device();
  Stream stream(device), other(device);
  Event before(device), after(device), elsewhere(device);
  std::atomic<bool> told{false};
  std::atomic<bool> went_on{false};
  stream.record(before);
  stream.run([](StreamTarget) { throw std::logic_error("of the work"); });
  stream.record(after);
  stream.on_completion([&](std::exception_ptr error) { told = error != nullptr; });
  stream.run([&](StreamTarget) { went_on = true; });
  other.wait(after);
  other.record(elsewhere);
  CHECK_NOTHROW(before.wait(patience));
  CHECK_THROWS_WITH_AS(after.wait(patience), "of the work", std::logic_error);
  CHECK_THROWS_WITH_AS(elsewhere.wait(patience), "of the work", std::logic_error);
  CHECK_THROWS_WITH_AS(stream.synchronize(patience), "of the work", std::logic_error);
  CHECK_THROWS_WITH_AS(other.synchronize(patience), "of the work", std::logic_error);
  CHECK(told);
  CHECK(went_on);
  stream.synchronize(patience);  // told once; the stream is good
  stream.record(after);
  after.wait(patience);
}

TEST_CASE("synchronize that is too late names the stream, and works again afterwards") {
  const auto device = make_cpu_stream_device();
  Stream stream(device, {.name = "upload"});
  Gate gate;
  gate.hold(stream);
  const std::string message = message_of([&] { stream.synchronize(10ms); });
  CHECK(message.find("upload") != std::string::npos);
  CHECK(message.find("10 ms") != std::string::npos);
  CHECK(message.ends_with("give it more time"));
  CHECK_THROWS_AS(stream.close(1ms), TimeoutError);
  gate.open();
  stream.synchronize(patience);
}

TEST_CASE("the longest deadline is no short one: synchronize and close wait for callbacks") {
  const auto device = make_cpu_stream_device();
  constexpr auto longest = std::chrono::nanoseconds::max();
  for (const bool closes : {false, true}) {
    Stream stream(device);
    std::atomic<bool> was_called{false};
    stream.on_completion([&](std::exception_ptr) {
      std::this_thread::sleep_for(5ms);
      was_called = true;
    });
    CHECK_NOTHROW(closes ? stream.close(longest) : stream.synchronize(longest));
    CHECK(was_called);
    stream.close(patience);
  }
}

TEST_CASE("null in place of a device is refused by name") {
  CHECK(
      message_of([] { Stream(nullptr, {.name = "upload"}); }).starts_with("stream 'upload': null"));
  CHECK_THROWS_AS(Event(nullptr), UseError);
}

TEST_CASE("use after close is refused by name; the end of a stream does not wait") {
  const auto device = make_cpu_stream_device();
  Stream closed(device, {.name = "late"});
  std::array<char, 4> data{};
  closed.close(patience);
  closed.close(patience);
  CHECK_THROWS_AS(closed.set(data.data(), 1, 4), UseError);
  CHECK(message_of([&] { closed.synchronize(patience); }).find("late") != std::string::npos);
  CHECK(closed.name() == "late");
  Stream moved = std::move(closed);
  CHECK_THROWS_AS((void)closed.name(), UseError);  // NOLINT: what is tested

  Gate gate;
  std::latch done(2);
  {
    Stream stream(device);
    gate.hold(stream);
    stream.run([&](StreamTarget) { done.count_down(); });
    stream.on_completion([&](std::exception_ptr) { done.count_down(); });
  }
  gate.open();
  done.wait();  // its work and callbacks came all the same
}

TEST_CASE("a stream destroyed by its own callback or by its own work") {
  const auto device = make_cpu_stream_device();
  std::latch done(2);
  auto by_callback = std::make_unique<Stream>(device);
  by_callback->on_completion([&](std::exception_ptr) {
    by_callback.reset();
    done.count_down();
  });
  auto by_work = std::make_unique<Stream>(device);
  std::latch assigned(1);
  by_work->run([&](StreamTarget) {
    assigned.wait();
    by_work.reset();
    done.count_down();
  });
  assigned.count_down();
  done.wait();
}

TEST_CASE("the last owner of the device may be a stream's own work") {
  std::latch done(1);
  std::atomic<bool> go{false};
  {
    auto device = make_cpu_stream_device();
    Stream stream(device);
    stream.run([device, &done, &go](StreamTarget) {
      while (!go) std::this_thread::yield();
      done.count_down();
    });
  }
  go = true;
  done.wait();
}

TEST_CASE("metrics count what was given and time a share of it; ids are never given twice") {
  const auto device = make_cpu_stream_device();
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 3; ++i) ids.insert(Stream(device).id());
  for (int i = 0; i < 3; ++i) ids.insert(Stream(make_cpu_stream_device()).id());
  CHECK(ids.size() == 6);

  Stream stream(device);
  std::array<char, 64> from{}, to{};
  for (int i = 0; i < 64; ++i) {
    stream.run([](StreamTarget) { std::this_thread::sleep_for(200us); });
    stream.synchronize(patience);
  }
  for (int i = 0; i < 36; ++i) stream.copy(to.data(), from.data(), 64);
  stream.synchronize(patience);
  const StreamMetrics metrics = stream.metrics();
  CHECK(metrics.operations == 100);
  CHECK(metrics.transfers == 36);
  CHECK(metrics.bytes == 36 * 64);
  CHECK(metrics.launches == 64);
  CHECK(metrics.timed >= 4);
  CHECK(metrics.timed <= 9);
  CHECK(metrics.mean_latency >= 50us);

  Stream untimed(device, {.metrics = false});
  for (int i = 0; i < 100; ++i) untimed.run([](StreamTarget) {});
  untimed.synchronize(patience);
  CHECK(untimed.metrics().timed == 0);
  CHECK(untimed.metrics().launches == 100);
}

TEST_CASE("captured work does not run until it is launched, and then every time") {
  const auto device = make_cpu_stream_device();
  Stream stream(device), side(device);
  StreamGraph graph(device);
  Event fork(device), join(device);
  std::atomic<int> main_runs{0}, side_runs{0};
  CHECK_THROWS_AS(stream.launch(graph), UseError);

  stream.begin_capture();
  stream.run([&](StreamTarget) { ++main_runs; });
  stream.record(fork);
  side.wait(fork);
  side.run([&](StreamTarget) { side_runs = main_runs.load(); });
  side.record(join);
  stream.wait(join);
  CHECK(side.is_capturing());
  CHECK_THROWS_AS(stream.synchronize(1s), UseError);
  CHECK_THROWS_AS(stream.on_completion([](std::exception_ptr) {}), UseError);
  stream.end_capture(graph);
  CHECK_FALSE(side.is_capturing());
  CHECK(main_runs == 0);

  for (int i = 0; i < 3; ++i) stream.launch(graph);
  stream.synchronize(patience);
  CHECK(main_runs == 3);
  CHECK(side_runs == 3);
  CHECK_THROWS_AS((void)join.is_done(), DeviceError);

  void* const before = graph.native();
  stream.begin_capture();
  stream.run([&](StreamTarget) { main_runs = 100; });
  stream.end_capture(graph);
  CHECK(graph.native() == before);
  stream.launch(graph);
  stream.synchronize(patience);
  CHECK(main_runs == 100);
  CHECK(stream.metrics().timed <= stream.metrics().operations);
}

TEST_CASE("a capture that lost a stream, or mixes with work outside, is refused as CUDA does") {
  const auto device = make_cpu_stream_device();
  Stream stream(device), side(device);
  StreamGraph graph(device);
  Event fork(device), outside(device);
  side.record(outside);

  stream.begin_capture();
  CHECK_THROWS_AS(stream.wait(outside), DeviceError);
  stream.record(fork);
  side.wait(fork);
  side.run([](StreamTarget) {});
  std::string code;
  try {
    stream.end_capture(graph);
  } catch (const DeviceError& error) {
    code = error.code_name();
  }
  CHECK(code == "cudaErrorStreamCaptureUnjoined");
  CHECK_FALSE(side.is_capturing());
  stream.run([](StreamTarget) {});  // both are good again
  side.synchronize(patience);
  stream.synchronize(patience);
  CHECK_THROWS_AS(stream.end_capture(graph), DeviceError);
}

TEST_CASE("several threads may give work to one stream") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  constexpr int threads = 4, each = 500;
  std::atomic<int> runs{0}, calls{0};
  {
    std::vector<std::jthread> givers;
    for (int t = 0; t < threads; ++t) {
      givers.emplace_back([&] {
        Event event(device);
        for (int i = 0; i < each; ++i) {
          stream.run([&](StreamTarget) { ++runs; });
          stream.record(event);
          if (i % 50 == 0) stream.on_completion([&](std::exception_ptr) { ++calls; });
          if (i % 100 == 0) stream.synchronize(patience);
          (void)stream.metrics();
        }
      });
    }
  }
  stream.synchronize(patience);
  CHECK(runs == threads * each);
  CHECK(calls == threads * each / 50);
  CHECK(stream.metrics().launches == threads * each);
}

TEST_CASE(
    "what host threads do not have is refused: prefetch, GPUs of a build or machine without") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  std::array<char, 8> data{};
  CHECK_THROWS_AS(stream.prefetch(data.data(), 8), UseError);
  CHECK(device->priority_levels() == 1);
  CHECK_FALSE(device->is_gpu());
  CHECK(stream.native() == nullptr);
  CHECK_THROWS_AS((void)make_gpu_stream_device(1000), DeviceError);
  CHECK_THROWS_AS((void)make_gpu_stream_device(-1), DeviceError);
}

/// Fails as a GPU does: from some time on, everything.
class FailingDevice : public ForwardingDevice {
 public:
  void fail() { fails_ = true; }
  void copy(void* stream, void* to, const void* from, std::size_t bytes) override {
    check();
    ForwardingDevice::copy(stream, to, from, bytes);
  }
  void record(void* stream, void* event) override {
    check();
    ForwardingDevice::record(stream, event);
  }
  bool is_done(void* event) override {
    check();
    return ForwardingDevice::is_done(event);
  }

 private:
  void check() const {
    if (fails_) throw DeviceError("the GPU fell off", "cudaErrorLaunchFailure");
  }
  std::atomic<bool> fails_{false};
};

TEST_CASE("a device that fails is told by name, to callbacks too, and nothing hangs") {
  const auto device = std::make_shared<FailingDevice>();
  Stream stream(device, {.name = "unlucky"});
  Event event(device);
  Gate gate;
  std::array<char, 4> data{};
  std::string told;
  gate.hold(stream);
  stream.record(event);
  stream.on_completion([&](std::exception_ptr error) {
    try {
      if (error != nullptr) std::rethrow_exception(error);
    } catch (const DeviceError& failure) {
      told = failure.code_name();
    }
  });
  device->fail();
  const std::string message = message_of([&] { stream.copy(data.data(), data.data() + 2, 2); });
  CHECK(message.find("'unlucky', copying: the GPU fell off") != std::string::npos);
  CHECK_THROWS_AS(event.wait(patience), DeviceError);
  CHECK_THROWS_AS(stream.synchronize(patience), DeviceError);
  CHECK(told == "cudaErrorLaunchFailure");
  CHECK_THROWS_AS(stream.close(patience), DeviceError);
  CHECK_THROWS_AS(stream.synchronize(patience), UseError);  // closed all the same
}

/// Makes streams that it cannot tell the id of.
class NamelessDevice : public ForwardingDevice {
 public:
  std::uint64_t stream_id(void*) const override { throw DeviceError("no id", "cudaErrorUnknown"); }
  void destroy_stream(void* stream) noexcept override {
    ++destroyed;
    ForwardingDevice::destroy_stream(stream);
  }
  int destroyed = 0;
};

TEST_CASE("a stream whose making fails half way is not left behind") {
  const auto device = std::make_shared<NamelessDevice>();
  CHECK_THROWS_AS(Stream{device}, DeviceError);
  CHECK(device->destroyed == 1);
}

TEST_CASE("a handle of a stream that was destroyed is refused") {
  const auto device = make_cpu_stream_device();
  void* handle = device->make_stream(StreamPriority::normal);
  device->destroy_stream(handle);
  CHECK_THROWS_AS((void)device->is_idle(handle), DeviceError);
}

}  // namespace
}  // namespace aatgs::test
