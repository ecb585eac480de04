// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/multi_stream_coordinator.hpp>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "scripted_device.hpp"
#include "stream_test_support.hpp"

namespace aatgs {
namespace {

using namespace std::chrono_literals;
using test::contains;
using test::Door;
using test::Meeting;
using test::message_of;
using test::patience;
using test::ScriptedDevice;
using test::wait_until;

constexpr auto nothing = [](StreamTarget) {};

MultiStreamOptions abc() {
  return {.name = "solver", .streams = {{.name = "a"}, {.name = "b"}, {.name = "c"}}};
}

TEST_CASE("multi stream: a wait queued before its record does not wait") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  for (int round = 0; round < 50; ++round) {
    int value = 0, seen = 0;
    StreamSchedule schedule;
    schedule.wait("b", "factored")
        .run("b", "solve", [&](StreamTarget) { seen = value; })
        .run("a", "factor", [&](StreamTarget) {
          std::this_thread::sleep_for(100us);  // not timed: it makes the fault likely
          value = 7;
        });
    schedule.record("a", "factored");
    streams.execute(schedule);
    streams.synchronize(patience);
    CHECK(seen == 7);
  }
}

TEST_CASE("multi stream: a circle of waits is queued, or its path not shown") {
  auto device = std::make_shared<ScriptedDevice>();
  MultiStreamCoordinator streams(device, abc());
  StreamSchedule schedule;
  schedule.run("c", "first", nothing);
  schedule.wait("a", "from b").run("a", "factor", nothing).record("a", "from a");
  schedule.wait("b", "from a").record("b", "from b").run("b", "behind", nothing);
  const std::string told = message_of([&] { streams.execute(schedule); });
  CHECK(contains(told,
                 "coordinator 'solver': the schedule's streams wait for each other in a "
                 "circle: "));
  for (const char* step : {"stream 'a' waits for event 'from b' -> stream 'a' runs 'factor'",
                           "stream 'b' waits for event 'from a' -> stream 'b' records event"}) {
    CHECK(contains(told, step));
  }
  CHECK(!contains(told, "behind"));
  CHECK(!contains(told, "first"));
  CHECK(device->log.empty());
  StreamSchedule through_barrier;  // what stands behind a barrier holds up what stands before it
  through_barrier.wait("a", "late").barrier().record("b", "late");
  CHECK(contains(message_of([&] { streams.execute(through_barrier); }), "barrier '1'"));
  StreamSchedule itself;
  itself.wait("a", "x").record("a", "x");
  CHECK_THROWS_AS(streams.execute(itself), UseError);
  CHECK(device->log.empty());
}

TEST_CASE("multi stream: a wait for what nobody records is queued and waits for nothing") {
  auto device = std::make_shared<ScriptedDevice>();
  MultiStreamCoordinator streams(device, abc());
  StreamSchedule waits;
  waits.run("a", "assemble", nothing).wait("a", "halo").run("a", "solve", nothing);
  CHECK(message_of([&] { streams.execute(waits); }) ==
        "coordinator 'solver': the schedule waits for event 'halo', which no stream records: "
        "stream 'a' runs 'assemble' -> stream 'a' waits for event 'halo'; record it, or take the "
        "wait away");
  CHECK(device->log.empty());
  StreamSchedule records;
  records.record("b", "halo");
  streams.execute(records);
  streams.execute(waits);  // an earlier schedule's event is good
  CHECK(device->count("wait") == 1);
  records.record("c", "halo");
  CHECK(contains(message_of([&] { streams.execute(records); }), "records event 'halo' twice"));
}

TEST_CASE("multi stream: a barrier lets someone through too early") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  Door door;
  std::atomic<int> before = 0, early = 0;
  StreamSchedule schedule;
  for (const char* stream : {"a", "b"}) {
    schedule.run(stream, "before", [&](StreamTarget) {
      door.pass();
      ++before;
    });
  }
  schedule.barrier();
  for (const char* stream : {"a", "b", "c"}) {
    schedule.run(stream, "after", [&](StreamTarget) { early += before != 2; });
  }
  schedule.barrier();
  streams.execute(schedule);
  for (const StreamStanding& one : streams.watchdog()) CHECK(one.pending > 0);
  std::this_thread::sleep_for(20ms);  // not timed: who does not wait is through by then
  door.open();
  streams.synchronize(patience);
  CHECK(before == 2);
  CHECK(early == 0);
}

TEST_CASE("multi stream: a dependency covers too little, or what comes later as well") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  Door door, before;
  int value = 0, seen = 0;
  StreamSchedule schedule;
  schedule.run("a", "one", [&](StreamTarget) {
    before.pass();
    value = 1;
  });
  schedule.depend("b", "a").run("b", "two", [&](StreamTarget) { seen = value; });
  schedule.run("a", "later", [&](StreamTarget) { door.pass(); });
  streams.execute(schedule);
  std::this_thread::sleep_for(20ms);  // not timed: who does not wait is through by then
  before.open();
  wait_until([&] { return streams.watchdog()[1].pending == 0; });  // while 'later' runs
  door.open();
  streams.synchronize(patience);
  CHECK(seen == 1);
}

TEST_CASE("multi stream: parallel work runs one after the other, or behind a busy stream") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  Meeting all(3);
  std::atomic<int> met = 0;
  const StreamWork meet = [&](StreamTarget) { met += all.meet(); };
  std::vector<NamedWork> works(3, NamedWork{"meet", meet});
  streams.execute_parallel(works);
  streams.synchronize();
  CHECK(met == 3);

  Door door;
  StreamSchedule busy;
  for (int i = 0; i < 4; ++i) busy.run("b", "long", [&](StreamTarget) { door.pass(); });
  streams.execute(busy);
  std::atomic<int> runs = 0;
  works.assign(6, NamedWork{"short", [&](StreamTarget) { ++runs; }});
  streams.execute_parallel(works);
  wait_until([&] { return runs == 6; });  // three each in 'a' and 'c'
  door.open();
  streams.synchronize(patience);
}

TEST_CASE("multi stream: a callback comes early, twice, never, or may not use the streams") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  Door door;
  std::atomic<int> calls = 0, inner = 0;
  StreamSchedule schedule, again;
  again.run("c", "again", [&](StreamTarget) { ++inner; });
  schedule.run("a", "quick", nothing).run("b", "slow", [&](StreamTarget) { door.pass(); });
  streams.execute(schedule, [&](std::exception_ptr error) {
    CHECK(error == nullptr);
    streams.execute(again, [&](std::exception_ptr) { ++calls; });
    ++calls;
  });
  wait_until([&] { return streams.watchdog()[0].pending == 0; });
  CHECK(calls == 0);
  door.open();
  wait_until([&] { return calls == 2; });
  streams.synchronize(patience);
  CHECK(calls == 2);
  CHECK(inner == 1);
  std::atomic<bool> empty_done = false;
  streams.execute(StreamSchedule(), [&](std::exception_ptr) { empty_done = true; });
  streams.synchronize(patience);
  CHECK(empty_done);
}

TEST_CASE("multi stream: what works and callbacks throw is lost, unnamed, or ends the streams") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  int after = 0;
  StreamSchedule schedule;
  schedule.run("a", "factor", [](StreamTarget) { throw std::runtime_error("pivot is 0"); });
  schedule.run("a", "next", [&](StreamTarget) { ++after; });
  const std::string expected = "coordinator 'solver', stream 'a' runs 'factor': pivot is 0";
  streams.execute(schedule);
  CHECK(message_of([&] { streams.synchronize(patience); }) == expected);
  streams.synchronize(patience);  // told once
  std::exception_ptr told;
  streams.execute(schedule, [&](std::exception_ptr error) { told = error; });
  streams.synchronize(patience);
  REQUIRE(told != nullptr);
  CHECK(message_of([&] { std::rethrow_exception(told); }) == expected);
  CHECK(after == 2);
  streams.execute(StreamSchedule(),
                  [](std::exception_ptr) { throw std::runtime_error("no disk"); });
  CHECK(message_of([&] { streams.synchronize(patience); }) ==
        "coordinator 'solver', a callback: no disk");
  streams.execute(StreamSchedule().run("b", "fine", nothing));
  streams.synchronize(patience);
}

TEST_CASE("multi stream: what a stream's own work threw is told for ever, by whoever asks") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  Door door;
  StreamSchedule schedule;
  schedule.run("a", "fine", nothing);
  schedule.run("a", "long", [&](StreamTarget) { door.pass(); });
  streams.stream("a").run([](StreamTarget) { throw std::runtime_error("of its own"); });
  streams.execute(schedule);
  CHECK_NOTHROW(wait_until([&] { return streams.watchdog()[0].pending == 1; }));
  CHECK_THROWS_AS(streams.synchronize(1ms), TimeoutError);
  door.open();
  CHECK(message_of([&] { streams.synchronize(patience); }) == "coordinator 'solver': of its own");
  streams.synchronize(patience);  // told once
  CHECK_NOTHROW(streams.execute(schedule));
  streams.synchronize(patience);
  CHECK_NOTHROW(CHECK(streams.watchdog()[0].pending == 0));
}

TEST_CASE("multi stream: a launch that fails leaves streams that wait for ever") {
  auto device = std::make_shared<ScriptedDevice>();
  MultiStreamCoordinator streams(device, abc());
  bool called = false;
  StreamSchedule schedule;
  schedule.record("a", "x").wait("b", "x");
  schedule.run("b", "bad", [](StreamTarget) { throw InputError("grid of 0 blocks"); });
  schedule.record("b", "y").wait("a", "y");
  CHECK(message_of([&] {
          streams.execute(schedule, [&](std::exception_ptr) { called = true; });
        }) == "coordinator 'solver', stream 'b' runs 'bad': grid of 0 blocks");
  CHECK(device->count("wait") == 1);  // 'y' never comes, and nobody waits for it
  for (const char* call : {"run", "record", "wait"}) {
    device->failing = call;
    StreamSchedule good;
    good.run("a", "good", nothing).record("a", "x").wait("b", "x");
    CHECK_THROWS_AS(streams.execute(good), DeviceError);
    streams.execute(good);
  }
  for (const StreamStanding& one : streams.watchdog()) CHECK(one.pending == 0);
  CHECK(!called);
}

TEST_CASE("multi stream: the watchdog does not say who waits for what of whom") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  Door door;
  StreamSchedule schedule;
  schedule.run("b", "assemble", nothing);
  schedule.run("a", "factor", [&](StreamTarget) { door.pass(); }).record("a", "factored");
  schedule.wait("b", "factored").run("b", "solve", nothing);
  streams.execute(schedule);
  wait_until([&] { return streams.watchdog()[1].pending == 2; });
  const auto standing = streams.watchdog();
  REQUIRE(standing.size() == 3);
  CHECK(standing[0].at == "stream 'a' runs 'factor'");
  CHECK(standing[0].waits_for.empty());
  CHECK(standing[1].last_done == "stream 'b' runs 'assemble'");
  CHECK(standing[1].at == "stream 'b' waits for event 'factored'");
  CHECK(standing[1].waits_for == "factored");
  CHECK(standing[1].event_stream == "a");
  CHECK(standing[1].age > 0ns);
  CHECK(standing[2].at.empty());
  const std::string report = streams.watchdog_report();
  CHECK(contains(report, "stream 'c': idle\n"));
  CHECK(contains(report,
                 "waits for event 'factored', which stream 'a' is to reach; last done: "
                 "stream 'b' runs 'assemble'\n"));
  CHECK(streams.watchdog_report(1h).empty());
  const std::string late = message_of([&] { streams.synchronize(1ms); });
  CHECK(contains(late, "coordinator 'solver': stream 'a'"));
  CHECK(contains(late, "waits for event 'factored'"));
  CHECK_THROWS_AS(streams.synchronize(1ms), TimeoutError);
  door.open();
  streams.synchronize(patience);
  CHECK(streams.watchdog()[1].last_done == "stream 'b' runs 'solve'");
}

TEST_CASE("multi stream: a work that uses its own coordinator hangs") {
  auto device = std::make_shared<ScriptedDevice>();
  MultiStreamCoordinator streams(device, abc());
  StreamSchedule closes, executes, asks;
  closes.run("a", "closes", [&](StreamTarget) { streams.close(); });
  executes.run("a", "executes", [&](StreamTarget) { streams.execute(asks); });
  std::string report;
  asks.run("a", "asks", [&](StreamTarget) { report = streams.watchdog_report(); });
  CHECK_THROWS_AS(streams.execute(closes), UseError);
  CHECK_THROWS_AS(streams.execute(executes), UseError);
  streams.execute(asks);  // the watchdog must answer also while a launch does not return
  CHECK(contains(report, "stream 'a'"));
}

TEST_CASE("multi stream: a close and a callback that executes wait for each other") {
  for (int round = 0; round < 20; ++round) {
    MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
    std::atomic<int> ended = 0;
    StreamSchedule schedule;
    schedule.run("a", "work", nothing);
    streams.execute(schedule, [&](std::exception_ptr) {
      try {
        streams.execute(schedule);
      } catch (const UseError&) {  // closed meanwhile
      }
      ++ended;
    });
    streams.close(patience);
    CHECK(ended == 1);
  }
}

TEST_CASE("multi stream: wrong names, options or use after close pass") {
  const auto device = make_cpu_stream_device();
  CHECK_THROWS_AS(MultiStreamCoordinator(device, {.name = "none", .streams = {}}), OptionError);
  CHECK_THROWS_AS(MultiStreamCoordinator(device, {.name = "x", .streams = {{.name = ""}}}),
                  OptionError);
  CHECK_THROWS_AS(
      MultiStreamCoordinator(device, {.name = "x", .streams = {{.name = "a"}, {.name = "a"}}}),
      OptionError);
  CHECK_THROWS_AS(MultiStreamCoordinator(nullptr, abc()), UseError);
  MultiStreamCoordinator streams(device, abc());
  std::atomic<int> runs = 0;
  StreamSchedule schedule;
  schedule.run("a", "fine", [&](StreamTarget) { ++runs; }).run("z", "lost", nothing);
  CHECK(message_of([&] { streams.execute(schedule); }) ==
        "coordinator 'solver' has no stream 'z': it has 'a', 'b', 'c'");
  CHECK_THROWS_AS(streams.execute(StreamSchedule().run("a", "empty", StreamWork())), UseError);
  CHECK(streams.stream("b").name() == "b");
  streams.close(patience);
  CHECK(runs == 0);
  streams.close(patience);
  CHECK_THROWS_AS(streams.execute(StreamSchedule()), UseError);
  CHECK_THROWS_AS(streams.synchronize(), UseError);
  CHECK_THROWS_AS(std::ignore = streams.watchdog(), UseError);
}

TEST_CASE("multi stream: events pile up with every schedule") {
  auto device = std::make_shared<ScriptedDevice>();
  MultiStreamCoordinator streams(device, abc());
  std::array<int, 2> data{};
  StreamSchedule schedule;
  schedule.copy("a", "up", data.data(), &data[1], sizeof(int)).depend("b", "a").barrier();
  for (int i = 0; i < 10; ++i) streams.execute(schedule);
  const std::size_t events = device->events_made;
  for (int i = 0; i < 1000; ++i) streams.execute(schedule);
  CHECK(device->events_made == events);
}

TEST_CASE("multi stream: threads mix up their schedules") {
  MultiStreamCoordinator streams(make_cpu_stream_device(), abc());
  std::atomic<int> wrong = 0, done = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        const std::string event = "event " + std::to_string(t);
        for (int i = 0; i < 30; ++i) {
          auto value = std::make_shared<int>(0);
          StreamSchedule schedule;
          schedule.run("a", "set", [value](StreamTarget) { *value = 1; }).record("a", event);
          schedule.wait("b", event).run("b", "check", [&, value](StreamTarget) {
            wrong += *value != 1;
          });
          streams.execute(schedule, [&](std::exception_ptr) { ++done; });
          std::ignore = streams.watchdog();
        }
      });
    }
  }
  streams.synchronize(patience);
  CHECK(wrong == 0);
  CHECK(done == 90);

  MultiStreamCoordinator scripted(std::make_shared<ScriptedDevice>(), abc());
  std::vector<int> order;
  std::thread other;
  StreamSchedule first, second;
  second.run("b", "second", [&](StreamTarget) { order.push_back(2); });
  first.run("a", "first", [&](StreamTarget) {
    other = std::thread([&] { scripted.execute(second); });
    std::this_thread::sleep_for(20ms);  // not timed: who does not wait is through by then
    order.push_back(1);
  });
  first.run("a", "first again", [&](StreamTarget) { order.push_back(1); });
  scripted.execute(first);
  other.join();
  CHECK(order == std::vector{1, 1, 2});
}

}  // namespace
}  // namespace aatgs
