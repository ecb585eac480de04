// SPDX-License-Identifier: Apache-2.0
// The profiler on host threads: what it tells must have been measured, by the device, and be whole.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/stream_profiler.hpp>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "../../host/src/json_text.hpp"
#include "../../host/src/stream/profile_records.hpp"
#include "forwarding_device.hpp"
#include "stream_gate.hpp"

namespace aatgs::test {
namespace {

using namespace std::chrono_literals;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

const ProfiledOperation* find(const ProfiledStream& stream, const std::string& name) {
  for (const ProfiledOperation& operation : stream.operations) {
    if (operation.name == name) return &operation;
  }
  return nullptr;
}

/// Synchronised, and so that the profiler's own clock has come as far.
StreamProfile whole_report(StreamProfiler& profiler, const std::vector<Stream*>& streams) {
  for (Stream* stream : streams) stream->synchronize(patience);
  StreamProfile profile = profiler.report();
  while (profile.running != 0) {
    std::this_thread::yield();
    profile = profiler.report();
  }
  return profile;
}

TEST_CASE("times are those of the work, not those of giving it; transfers have bytes and GB/s") {
  const auto device = make_cpu_stream_device();
  Stream stream(device, {.name = "solver"});
  StreamProfiler profiler(device);
  std::vector<char> from(1 << 20, 1), to(1 << 20);
  for (int i = 0; i < 3; ++i) {
    profiler.run(
        stream, [](StreamTarget) { std::this_thread::sleep_for(2ms); }, "sweep");
    profiler.copy(stream, to.data(), from.data(), to.size(), "download");
  }
  const StreamProfile profile = whole_report(profiler, {&stream});
  CHECK(to == from);
  REQUIRE(profile.streams.size() == 1);
  const ProfiledStream& own = profile.streams.front();
  CHECK(own.name == "solver");
  CHECK(own.id == stream.id());
  const ProfiledOperation* sweep = find(own, "sweep");
  const ProfiledOperation* download = find(own, "download");
  REQUIRE(sweep != nullptr);
  REQUIRE(download != nullptr);
  CHECK(sweep->kind == ProfiledKind::launch);
  CHECK(sweep->count == 3);
  CHECK(sweep->shortest >= 2ms);
  CHECK(sweep->longest >= sweep->shortest);
  CHECK(sweep->total >= 6ms);
  CHECK(download->kind == ProfiledKind::transfer);
  CHECK(download->bytes == 3U << 20);
  CHECK(download->gb_per_s() == doctest::Approx(static_cast<double>(download->bytes) /
                                                static_cast<double>(download->total.count())));
  CHECK(own.busy >= 6ms);
  CHECK(profile.span >= profile.busy);
  CHECK(profile.busy == profile.all_busy);
  CHECK(stream.metrics().operations == 6);
}

TEST_CASE("what is not done is not told, and nothing waits for it") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  StreamProfiler profiler(device);
  Gate gate;
  gate.hold(stream);
  for (int i = 0; i < 200; ++i)
    profiler.run(
        stream, [](StreamTarget) {}, "small");
  StreamProfile profile = profiler.report();
  CHECK(profile.running == 200);
  CHECK(profile.busy == 0ns);
  CHECK(has(profile.text(), "200 operations are not done"));
  gate.open();
  profile = whole_report(profiler, {&stream});
  CHECK(find(profiler.report(stream), "small")->count == 200);
}

TEST_CASE("a span takes together what is given until its end") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  StreamProfiler profiler(device);
  const auto is_done = [&] {
    const ProfiledStream own = profiler.report(stream);
    const ProfiledOperation* iteration = find(own, "iteration");
    return iteration != nullptr && iteration->count == 1;
  };
  {
    auto span = profiler.operation(stream, "iteration");
    for (int i = 0; i < 2; ++i) stream.run([](StreamTarget) { std::this_thread::sleep_for(1ms); });
    span.end();
    Gate gate;
    gate.hold(stream);
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!is_done() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    CHECK(is_done());  // though what came after the span is not
  }
  {
    auto first = profiler.operation(stream, "moved");
    const auto second = std::move(first);
  }
  (void)whole_report(profiler, {&stream});
  const ProfiledStream own = profiler.report(stream);
  const ProfiledOperation* iteration = find(own, "iteration");
  REQUIRE(iteration != nullptr);
  CHECK(iteration->count == 1);
  CHECK(iteration->total >= 2ms);
  CHECK(find(own, "moved")->count == 1);
}

TEST_CASE("busy times leave gaps out and overlap counts streams at work at once") {
  detail::ProfileRecords records;
  const auto a = records.stream_index(1, "a");
  const auto b = records.stream_index(2, "b");
  CHECK(records.stream_index(1, "a") == a);
  const auto work_a = records.operation_index(a, ProfiledKind::launch, "work");
  const auto copy_a = records.operation_index(a, ProfiledKind::transfer, "work");
  CHECK(work_a != copy_a);
  const auto work_b = records.operation_index(b, ProfiledKind::launch, "work");
  records.add({a, work_a, 1000, 2000, 0}, 10);
  records.add({a, work_a, 1500, 1800, 0}, 10);  // within the first
  records.add({a, copy_a, 5000, 6000, 4000}, 10);
  records.add({b, work_b, 1000, 3000, 0}, 10);
  const StreamProfile profile = records.report("device");
  CHECK(profile.span == 5000ns);
  CHECK(profile.streams[0].busy == 2000ns);
  CHECK(profile.streams[1].busy == 2000ns);
  CHECK(profile.busy == 3000ns);
  CHECK(profile.overlap() == doctest::Approx(4.0 / 3));
  CHECK(profile.streams[0].operations[0].name == "work");
  CHECK(profile.streams[0].operations[0].total == 1300ns);  // most time first
  CHECK(profile.streams[0].operations[0].mean() == 650ns);
  CHECK(profile.streams[0].operations[1].gb_per_s() == doctest::Approx(4.0));
}

TEST_CASE("text, JSON and trace are whole, also with names that need escapes") {
  const auto device = make_cpu_stream_device();
  Stream first(device, {.name = "a \"quoted\" one"}), second(device, {.name = "plain"});
  StreamProfiler profiler(device);
  std::vector<char> data(100), to(100);
  profiler.run(
      first, [](StreamTarget) { std::this_thread::sleep_for(1ms); }, "back\\slash\n");
  profiler.copy(second, to.data(), data.data(), 100);
  const StreamProfile profile = whole_report(profiler, {&first, &second});
  CHECK(is_json(profile.json()));
  CHECK(has(profile.json(), "\"bytes\":100"));
  CHECK(has(profile.text(), "plain (id "));
  CHECK(has(profile.text(), "copy"));
  CHECK(has(profile.streams[0].text(), "quoted"));
  const std::string trace = profiler.trace();
  CHECK(is_json(trace));
  CHECK(count_of(trace, "\"ph\":\"X\"") == 2);
  CHECK(count_of(trace, "\"ph\":\"M\"") == 3);  // the device and two streams
  CHECK(is_json(StreamProfiler(device).report().json()));
  CHECK(is_json(StreamProfiler(device).trace()));
}

TEST_CASE("what cannot be timed or kept is counted instead of made up") {
  const auto device = make_cpu_stream_device();
  Stream stream(device);
  StreamProfiler profiler(device, 2);
  StreamGraph graph(device);
  stream.begin_capture();
  profiler.run(
      stream, [](StreamTarget) {}, "captured");
  stream.end_capture(graph);
  for (int i = 0; i < 5; ++i) profiler.launch(stream, graph);
  CHECK_THROWS_AS(profiler.launch(stream, StreamGraph(device), "empty"), UseError);
  Stream foreign(make_cpu_stream_device());
  CHECK_THROWS_AS(profiler.run(foreign, [](StreamTarget) {}), UseError);
  const StreamProfile profile = whole_report(profiler, {&stream});
  CHECK(profile.untimed == 1);
  CHECK(profile.without_place == 3);
  REQUIRE(profile.streams.size() == 1);
  CHECK(profile.streams[0].operations.size() == 1);
  CHECK(profile.streams[0].operations[0].count == 5);  // sums go on
  CHECK(count_of(profiler.trace(), "\"ph\":\"X\"") == 2);
  profiler.clear();
  CHECK(profiler.report(stream).operations.empty());
  CHECK(profiler.report().busy == 0ns);
}

/// Fails at one question after an event, and counts the timed ones.
class FailingDevice : public ForwardingDevice {
 public:
  void* make_event(bool timed) override {
    timed_events += timed ? 1 : 0;
    return ForwardingDevice::make_event(timed);
  }
  bool is_done(void* event) override {
    if (--questions_left == 0) throw DeviceError("planted", "cudaErrorLaunchFailure");
    return ForwardingDevice::is_done(event);
  }

  std::atomic<int> questions_left{0}, timed_events{0};
};

TEST_CASE("a question that fails while times are taken in counts nothing twice and loses nothing") {
  const auto device = std::make_shared<FailingDevice>();
  Stream done(device), busy(device), last(device);
  StreamProfiler profiler(device);
  Gate gate;
  const auto nothing = [](StreamTarget) {};
  profiler.run(done, nothing);
  gate.hold(busy);
  profiler.run(busy, nothing);
  profiler.run(last, nothing);
  done.synchronize(patience);
  last.synchronize(patience);
  for (int question = 1; question < 8; ++question) {
    device->questions_left = question;
    CHECK_NOTHROW((void)profiler.report());
  }
  device->questions_left = 0;
  gate.open();
  const StreamProfile profile = whole_report(profiler, {&done, &busy, &last});
  REQUIRE(profile.streams.size() == 3);
  for (const ProfiledStream& stream : profile.streams) CHECK(stream.operations[0].count == 1);
}

TEST_CASE("a profiler in use for long takes no more events than one in use for short") {
  const auto device = std::make_shared<FailingDevice>();
  Stream stream(device, {.metrics = false});
  StreamProfiler profiler(device);
  std::vector<int> events;
  for (int i = 0; i < 3; ++i) {
    if (i > 0) std::this_thread::sleep_for(510ms);  // after which the clock is marked once more
    profiler.run(stream, [](StreamTarget) {});
    (void)whole_report(profiler, {&stream});
    events.push_back(device->timed_events);
  }
  CHECK(events[2] == events[1]);
}

TEST_CASE("several threads profile several streams") {
  const auto device = make_cpu_stream_device();
  Stream first(device), second(device);
  StreamProfiler profiler(device);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          profiler.run(
              t % 2 == 0 ? first : second, [](StreamTarget) {}, "small");
          if (i % 50 == 0) (void)profiler.report();
        }
      });
    }
  }
  const StreamProfile profile = whole_report(profiler, {&first, &second});
  CHECK(profile.streams[0].operations[0].count == 400);
  CHECK(profile.streams[1].operations[0].count == 400);
}

}  // namespace
}  // namespace aatgs::test
