// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/async_coordinator.hpp>
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "scripted_device.hpp"
#include "stream_test_support.hpp"

namespace {
thread_local std::size_t allocations = 0;
}

// Counted, for the test of the steady state.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* data = std::malloc(bytes)) return data;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* data) noexcept {
  std::free(data);
}
[[gnu::noinline]] void operator delete(void* data, std::size_t) noexcept {
  std::free(data);
}

namespace aatgs {
namespace {

using namespace std::chrono_literals;
using test::contains;
using test::Door;
using test::Meeting;
using test::message_of;
using test::patience;
using test::ScriptedDevice;

std::vector<std::uint64_t> numbers_of(const std::vector<FinishedOperation>& finished) {
  std::vector<std::uint64_t> numbers;
  for (const FinishedOperation& one : finished) numbers.push_back(one.id.number);
  return numbers;
}

TEST_CASE("coordinator: a dependency between streams is not waited for") {
  AsyncCoordinator coordinator(make_cpu_stream_device());
  std::array<int, 4> in{1, 2, 3, 4}, device{}, out{};
  Door door;
  const auto before = coordinator.queue_compute([&](StreamTarget) { door.pass(); });
  const auto up = coordinator.queue_upload(device.data(), in.data(), sizeof in, {before});
  const auto doubled = coordinator.queue_compute(
      [&](StreamTarget) {
        for (int& value : device) value *= 2;
      },
      {up});
  const auto down = coordinator.queue_download(out.data(), device.data(), sizeof out, {doubled});
  CHECK(coordinator.poll().empty());
  std::this_thread::sleep_for(20ms);  // not timed: who does not wait is through by then
  CHECK(coordinator.poll().empty());
  CHECK(!coordinator.is_finished(up));
  CHECK(!coordinator.is_finished(down));
  door.open();
  coordinator.wait(down, patience);
  CHECK(out == std::array{2, 4, 6, 8});
  CHECK(coordinator.is_finished(before));
}

TEST_CASE("coordinator: poll tells an operation twice, too early, or never") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device);
  device->held = true;
  int a = 0, b = 0;
  const auto up = coordinator.queue_upload(&a, &b, sizeof a);
  const auto run = coordinator.queue_compute([](StreamTarget) {}, {up});
  const auto joined = coordinator.join({up, run});
  const auto down = coordinator.queue_download(&b, &a, sizeof a, {joined});
  CHECK(coordinator.poll().empty());
  device->finish(1);
  CHECK(numbers_of(coordinator.poll()) == std::vector{up.number});
  CHECK(coordinator.poll().empty());
  device->finish(1);
  const auto two = coordinator.poll();
  CHECK(numbers_of(two) == std::vector{run.number, joined.number});
  CHECK(two.back().kind == OperationKind::join);
  device->finish();
  std::array<FinishedOperation, 4> into;
  CHECK(coordinator.poll(std::span(into)) == 1);
  CHECK(into[0].id == down);
  CHECK(coordinator.poll(std::span(into)) == 0);
  CHECK(coordinator.stats().finished == 4);
  device->held = false;
}

TEST_CASE("coordinator: what finds no place in a poll is lost") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device);
  for (int i = 0; i < 5; ++i) coordinator.queue_compute([](StreamTarget) {});
  coordinator.join({});
  std::array<FinishedOperation, 2> two;
  std::size_t told = 0;
  for (int i = 0; i < 3; ++i) told += coordinator.poll(std::span(two));
  CHECK(told == 6);
  CHECK(coordinator.poll(std::span(two)) == 0);
}

TEST_CASE("coordinator: polls lose what had finished when the device fails meanwhile") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device);
  int a = 0, b = 0;
  const auto up = coordinator.queue_upload(&a, &b, sizeof a);
  CHECK(coordinator.is_finished(up));
  device->held = true;
  coordinator.queue_compute([](StreamTarget) {});
  device->is_lost = true;
  CHECK_THROWS_AS(coordinator.poll(), DeviceError);
  CHECK(contains(message_of([&] { coordinator.poll(); }),
                 "coordinator 'coordinator', compute operation 2"));
  device->is_lost = false;
  CHECK(numbers_of(coordinator.poll()) == std::vector{up.number});
  device->finish();
}

TEST_CASE("coordinator: an id of another coordinator, or one never given, is taken for its own") {
  const auto device = make_cpu_stream_device();
  AsyncCoordinator first(device), second(device);
  auto script = std::make_shared<ScriptedDevice>();
  AsyncCoordinator third(script);
  const auto own = first.queue_compute([](StreamTarget) {});
  CHECK(first.id() != second.id());
  CHECK(first.id() != third.id());
  CHECK_THROWS_AS(second.wait(own), UseError);
  CHECK_THROWS_AS(third.queue_compute([](StreamTarget) {}, {own}), UseError);
  CHECK(script->count("run") == 0);  // found before anything was queued
  CHECK_THROWS_AS(std::ignore = first.is_finished({own.coordinator, own.number + 1}), UseError);
  CHECK_THROWS_AS(first.join({{own.coordinator, 0}}), UseError);
  CHECK_THROWS_AS(first.wait(OperationId{}), UseError);
  CHECK(contains(message_of([&] { second.wait(own); }), "of another coordinator"));
  first.wait(own, patience);
}

TEST_CASE("coordinator: a fork runs one after the other, or a join ends before the last of it") {
  AsyncCoordinator coordinator(make_cpu_stream_device(), {.compute_streams = 3});
  Meeting all(3);
  std::atomic<int> met = 0;
  Door door;
  const StreamWork meet = [&](StreamTarget) { met += all.meet(); };
  const StreamWork late = [&](StreamTarget target) {
    meet(target);
    door.pass();
    ++met;
  };
  const auto root = coordinator.queue_compute([](StreamTarget) {});
  const std::vector<StreamWork> works{meet, late, meet};
  const auto forked = coordinator.fork(works, {root});
  const auto joined = coordinator.join(forked);
  std::atomic<int> seen = -1;
  const auto after = coordinator.queue_compute([&](StreamTarget) { seen = met.load(); }, {joined});
  coordinator.wait(forked[0], patience);
  coordinator.wait(forked[2], patience);
  CHECK(!coordinator.is_finished(joined));
  CHECK_THROWS_AS(coordinator.wait(joined, 1ms), TimeoutError);
  door.open();
  coordinator.wait(joined, patience);
  CHECK(coordinator.is_finished(joined));
  coordinator.wait(after, patience);
  CHECK(seen == 4);
}

TEST_CASE("coordinator: waits are queued within one stream, or twice for the same event") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device, {.compute_streams = 1});
  device->held = true;
  int a = 0, b = 0;
  const auto first = coordinator.queue_upload(&a, &b, sizeof a);
  const auto second = coordinator.queue_upload(&a, &b, sizeof a, {first});
  CHECK(device->count("wait") == 0);  // the stream's own order
  coordinator.queue_compute([](StreamTarget) {}, {first, second});
  CHECK(device->count("wait") == 1);  // the later of the two is enough
  const auto last = coordinator.queue_compute([](StreamTarget) {}, {second});
  CHECK(device->count("wait") == 1);  // that stream has waited for it already
  device->finish();
  coordinator.wait(last, patience);
  coordinator.queue_download(&b, &a, sizeof a, {last});
  CHECK(device->count("wait") == 1);  // it is known to be done
  const CoordinatorStats stats = coordinator.stats();
  CHECK(stats.waits_queued == 1);
  CHECK(stats.waits_skipped == 3);
  device->finish();
}

TEST_CASE("coordinator: a dependency on an operation whose place was taken is a wrong wait") {
  AsyncCoordinator coordinator(make_cpu_stream_device(), {.operations = 4});
  int counter = 0;
  const auto first = coordinator.queue_compute([&](StreamTarget) { ++counter; });
  auto last = first;
  for (int i = 0; i < 500; ++i) {
    last = coordinator.queue_compute([&](StreamTarget) { ++counter; }, {first, last});
  }
  coordinator.wait(first, patience);
  CHECK(coordinator.is_finished(first));
  coordinator.wait(last, patience);
  CHECK(counter == 501);
  CHECK(coordinator.poll().size() == 4);
  CHECK(coordinator.stats().reports_dropped == 497);

  auto script = std::make_shared<ScriptedDevice>();
  AsyncCoordinator scripted(script, {.operations = 2});
  const auto gone = scripted.queue_compute([](StreamTarget) {});
  scripted.queue_compute([](StreamTarget) {});
  script->held = true;
  int a = 0, b = 0;
  scripted.queue_upload(&a, &b, sizeof a);  // has the place of `gone`
  scripted.queue_compute([](StreamTarget) {}, {gone});
  CHECK(script->count("wait") == 0);
  script->finish();
}

TEST_CASE("coordinator: a full ring overwrites what is in flight, or waits for ever") {
  AsyncCoordinator coordinator(make_cpu_stream_device(),
                               {.name = "small", .operations = 2, .deadline = 1ms});
  Door door;
  std::atomic<int> runs = 0;
  const auto slow = coordinator.queue_compute([&](StreamTarget) {
    door.pass();
    ++runs;
  });
  coordinator.queue_compute([&](StreamTarget) { ++runs; });
  const std::string text =
      message_of([&] { coordinator.queue_compute([&](StreamTarget) { ++runs; }); });
  CHECK(contains(text, "coordinator 'small', compute operation 3, which was not queued"));
  CHECK(contains(text, "compute operation 1"));
  CHECK_THROWS_AS(coordinator.join({slow}), TimeoutError);
  door.open();
  coordinator.synchronize_all(patience);
  coordinator.wait(coordinator.queue_compute([&](StreamTarget) { ++runs; }), patience);
  CHECK(runs == 3);
}

TEST_CASE("coordinator: a work that throws is not told, told twice, or takes others with it") {
  AsyncCoordinator coordinator(make_cpu_stream_device(), {.name = "solver"});
  std::atomic<int> runs = 0;
  const StreamWork bad = [](StreamTarget) { throw std::runtime_error("no convergence"); };
  const StreamWork good = [&](StreamTarget) { ++runs; };
  auto failed = coordinator.queue_compute(bad);
  const auto behind = coordinator.queue_compute(good, {failed});
  const std::string told = message_of([&] { coordinator.wait(behind, patience); });
  CHECK(told == "coordinator 'solver', compute operation 1: no convergence");
  coordinator.wait(failed, patience);  // told already
  coordinator.synchronize_all(patience);
  CHECK(runs == 1);

  coordinator.poll();
  failed = coordinator.queue_compute(bad);
  coordinator.queue_compute(good);
  CHECK_THROWS_AS(coordinator.synchronize_all(patience), Error);
  const auto finished = coordinator.poll();
  CHECK(finished.size() == 2);

  failed = coordinator.queue_compute(bad);
  while (!coordinator.is_finished(failed)) std::this_thread::yield();
  const auto with_error = coordinator.poll();
  REQUIRE(with_error.size() == 1);
  CHECK(with_error[0].error != nullptr);
  coordinator.synchronize_all(patience);
  CHECK(coordinator.stats().failed == 3);
}

TEST_CASE("coordinator: a launch that throws leaves half an operation behind") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device, {.name = "gpu"});
  CHECK(message_of([&] {
          coordinator.queue_compute([](StreamTarget) { throw InputError("grid of 0 blocks"); });
        }) == "coordinator 'gpu', compute operation 1, which was not queued: grid of 0 blocks");
  for (const char* call : {"copy", "record"}) {
    device->failing = call;
    int a = 0, b = 0;
    CHECK_THROWS_AS(coordinator.queue_upload(&a, &b, sizeof a), DeviceError);
  }
  CHECK(coordinator.poll().empty());
  const auto next = coordinator.queue_compute([](StreamTarget) {});
  CHECK(next.number == 1);
  CHECK(numbers_of(coordinator.poll()) == std::vector<std::uint64_t>{1});
}

TEST_CASE("coordinator: a work that calls its own coordinator hangs or breaks it") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device);
  CHECK_THROWS_AS(coordinator.queue_compute([&](StreamTarget) { coordinator.poll(); }), UseError);
  CHECK(coordinator.queue_compute([](StreamTarget) {}).number == 1);
}

TEST_CASE("coordinator: a null pointer, an empty function or wrong options reach the device") {
  auto device = std::make_shared<ScriptedDevice>();
  AsyncCoordinator coordinator(device);
  int a = 0;
  CHECK_THROWS_AS(coordinator.queue_upload(&a, nullptr, 4), UseError);
  CHECK_THROWS_AS(coordinator.queue_download(nullptr, &a, 4), UseError);
  CHECK_THROWS_AS(coordinator.queue_compute(StreamWork()), UseError);
  const std::vector<StreamWork> last_is_empty{[](StreamTarget) {}, StreamWork()};
  CHECK(contains(message_of([&] { coordinator.fork(last_is_empty); }), "compute operation 2: an"));
  CHECK(device->count("run") == 0);               // nobody would have its id
  coordinator.queue_upload(nullptr, nullptr, 0);  // nothing to copy is no error
  CHECK(device->count("copy") == 0);
  CHECK_THROWS_AS(AsyncCoordinator(device, {.compute_streams = 0}), OptionError);
  CHECK_THROWS_AS(AsyncCoordinator(device, {.compute_streams = 17}), OptionError);
  CHECK_THROWS_AS(AsyncCoordinator(device, {.operations = 0}), OptionError);
  CHECK_THROWS_AS(AsyncCoordinator(device, {.operations = 1000}), OptionError);
  CHECK_THROWS_AS(AsyncCoordinator(nullptr), UseError);
}

TEST_CASE("coordinator: a wait goes beyond its deadline, or does not say for what") {
  AsyncCoordinator coordinator(make_cpu_stream_device(), {.name = "w"});
  Door door;
  const auto slow = coordinator.queue_compute([&](StreamTarget) { door.pass(); });
  CHECK(contains(message_of([&] { coordinator.wait(slow, 1ms); }),
                 "coordinator 'w', compute operation 1"));
  CHECK_THROWS_AS(coordinator.synchronize_all(1ms), TimeoutError);
  CHECK_THROWS_AS(coordinator.close(1ms), TimeoutError);
  CHECK_THROWS_AS(coordinator.wait(slow, 1ms), UseError);
  door.open();
}

TEST_CASE("coordinator: use after close, or an end that does not wait for its work") {
  const auto device = make_cpu_stream_device();  // whose own end would wait as well
  std::atomic<bool> ran = false;
  {
    AsyncCoordinator coordinator(device, {.name = "c"});
    coordinator.queue_compute([&](StreamTarget) {
      std::this_thread::sleep_for(20ms);
      ran = true;
    });
  }
  CHECK(ran);
  AsyncCoordinator coordinator(make_cpu_stream_device(), {.name = "c"});
  coordinator.close(patience);
  coordinator.close(patience);
  CHECK(message_of([&] { coordinator.queue_compute([](StreamTarget) {}); }) ==
        "coordinator 'c' is closed: queue_compute came after");
  CHECK_THROWS_AS(coordinator.poll(), UseError);
  CHECK_THROWS_AS(coordinator.synchronize_all(), UseError);
  CHECK_THROWS_AS(coordinator.join({}), UseError);
}

TEST_CASE("coordinator: the steady state allocates or makes events") {
  auto device = std::make_shared<ScriptedDevice>();
  device->logging = false;
  AsyncCoordinator coordinator(device, {.operations = 64});
  int a = 0, b = 0;
  const StreamWork work = [](StreamTarget) {};
  std::array<FinishedOperation, 64> finished;
  const auto round = [&] {
    const auto up = coordinator.queue_upload(&a, &b, sizeof a);
    const auto run = coordinator.queue_compute(work, {up});
    const auto joined = coordinator.join({up, run});
    coordinator.queue_download(&b, &a, sizeof a, {joined});
    return coordinator.poll(std::span(finished));
  };
  for (int i = 0; i < 100; ++i) round();
  const std::size_t events = device->events_made;
  const std::size_t before = allocations;
  for (int i = 0; i < 1000; ++i) round();
  CHECK(allocations == before);
  CHECK(device->events_made == events);
}

}  // namespace
}  // namespace aatgs
