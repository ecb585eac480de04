// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/detail/busy_time.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/pipeline_stage_manager.hpp>
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
using Names = std::vector<std::string>;

constexpr auto carried = PipelineBufferKind::carried;
constexpr auto nothing = [](const StageCall&) {};

/// One int goes to another.
StageWork map_int(auto f) {
  return [f](const StageCall& call) { *call.output<int>(0) = f(*call.input<int>(0)); };
}

PipelineStage stage(std::string name, Names inputs, Names outputs, StageWork work = nothing) {
  return {std::move(name), {}, std::move(inputs), std::move(outputs), std::move(work)};
}

TEST_CASE("pipeline: iterations mix up their buffers") {
  for (const bool graph : {false, true}) {
    for (const unsigned copies : {1U, 2U, 3U}) {
      CAPTURE(graph);
      CAPTURE(copies);
      constexpr int iterations = 60;
      std::vector<int> in(iterations), out(iterations, -1);
      PipelineStageManager pipeline(make_cpu_stream_device(),
                                    {.copies = copies, .in_flight = 5, .graph = graph});
      for (const char* buffer : {"x", "y", "z"}) pipeline.add_buffer(buffer, sizeof(int));
      pipeline.add_buffer("sum", sizeof(int), carried);
      // Added backwards: the order follows from the buffers.
      pipeline.add_download("down", "z", out.data());
      pipeline.add_stage({"add", {}, {"y", "sum"}, {"z", "sum"}, [](const StageCall& call) {
                            *call.output<int>(1) += *call.input<int>(0);
                            *call.output<int>(0) = *call.input<int>(0) + 1;
                          }});
      pipeline.add_stage(stage("double", {"x"}, {"y"}, map_int([](int x) { return x * 2; })));
      pipeline.add_upload("up", "x", in.data());
      CHECK(pipeline.order() == Names{"up", "double", "add", "down"});
      for (int i = 0; i < iterations; ++i) {
        in[static_cast<std::size_t>(i)] = i;
        pipeline.set_host("up", &in[static_cast<std::size_t>(i)]);
        pipeline.set_host("down", &out[static_cast<std::size_t>(i)]);
        CHECK(pipeline.execute_iteration() == static_cast<std::uint64_t>(i + 1));
      }
      pipeline.synchronize(patience);
      int sum = 0;
      for (int i = 0; i < iterations; ++i) {
        CHECK(out[static_cast<std::size_t>(i)] == 2 * i + 1);
        sum += 2 * i;
      }
      int found = 0;
      pipeline.read_buffer("sum", &found, sizeof found);
      CHECK(found == sum);
      pipeline.read_buffer("z", &found, sizeof found);
      CHECK(found == 2 * iterations - 1);
      CHECK(pipeline.stats().captures == (graph ? iterations : 0));
    }
  }
}

TEST_CASE("pipeline: iterations do not overlap, or overwrite what is still read") {
  for (const unsigned copies : {1U, 2U}) {
    CAPTURE(copies);
    PipelineStageManager pipeline(make_cpu_stream_device(), {.copies = copies});
    Door door;
    std::atomic<int> written = 0, wrong = 0, read = 0;
    pipeline.add_buffer("x", sizeof(int));
    pipeline.add_stage(stage("write", {}, {"x"},
                             [&](const StageCall& call) { *call.output<int>(0) = ++written; }));
    pipeline.add_stage(stage("read", {"x"}, {}, [&](const StageCall& call) {
      door.pass();
      wrong += *call.input<int>(0) != ++read;
    }));
    for (int i = 0; i < 5; ++i) pipeline.execute_iteration();
    wait_until([&] { return written == static_cast<int>(copies); });
    std::this_thread::sleep_for(20ms);           // not timed: who does not wait is through by then
    CHECK(written == static_cast<int>(copies));  // no copy is left to write into
    door.open();
    pipeline.synchronize(patience);
    CHECK(written == 5);
    CHECK(wrong == 0);
  }
}

TEST_CASE("pipeline: stages that need nothing of each other run one after the other") {
  PipelineStageManager pipeline(make_cpu_stream_device());
  Meeting both(2);
  std::atomic<int> missed = 0;
  const auto meet = [&](const StageCall&) {
    if (missed == 0) missed += !both.meet();
    if (missed == 0) missed += !both.meet();
  };
  pipeline.add_buffer("l", 4);
  pipeline.add_buffer("r", 4);
  pipeline.add_stage(stage("left", {}, {"l"}, meet));
  pipeline.add_stage(stage("right", {}, {"r"}, meet));
  std::atomic<int> joined = 0;
  pipeline.add_stage(stage("join", {"l", "r"}, {}, [&](const StageCall&) { ++joined; }));
  for (int i = 0; i < 10; ++i) pipeline.execute_iteration();
  pipeline.synchronize();
  CHECK(joined == 10);
  CHECK(missed == 0);
  const PipelineStats stats = pipeline.stats();
  CHECK(stats.iterations == 10);
  CHECK(stats.overlap > 0);
  CHECK(stats.utilisation > 0);
  CHECK(stats.utilisation <= 1);
}

TEST_CASE("pipeline: a circle of buffers is run, or its path not shown") {
  auto device = std::make_shared<ScriptedDevice>();
  PipelineStageManager pipeline(device, {.name = "flow"});
  for (const char* buffer : {"u", "v", "w"}) pipeline.add_buffer(buffer, 8);
  pipeline.add_stage(stage("first", {}, {"w"}));
  pipeline.add_stage(stage("a", {"u", "w"}, {"v"}));
  pipeline.add_stage(stage("b", {"v"}, {"u"}));
  const std::string told = message_of([&] { pipeline.execute_iteration(); });
  CHECK(contains(told, "pipeline 'flow': the stages wait for each other in a circle: "));
  CHECK(contains(told, "'a' -(v)-> 'b'"));
  CHECK(contains(told, "'b' -(u)-> 'a'"));
  CHECK(!contains(told, "first"));
  CHECK(device->log.empty());
}

TEST_CASE("pipeline: a wrong order by hand, or a buffer nobody writes, passes") {
  PipelineStageManager pipeline(make_cpu_stream_device(), {.name = "flow"});
  pipeline.add_buffer("x", sizeof(int));
  pipeline.add_stage(stage("use", {"x"}, {}));
  CHECK(message_of([&] { std::ignore = pipeline.order(); }) ==
        "pipeline 'flow': stage 'use' reads buffer 'x', which no other stage writes: add one, or "
        "an upload, or make it carried");
  pipeline.add_stage(
      stage("make", {}, {"x"}, [](const StageCall& call) { *call.output<int>(0) = 1; }));
  pipeline.add_stage(stage("change", {"x"}, {"x"}, map_int([](int x) { return x + 1; })));
  CHECK(message_of([&] { std::ignore = pipeline.order(); }) ==
        "pipeline 'flow': stages 'make' and 'change' both write buffer 'x': say by set_order who "
        "comes first");
  CHECK(message_of([&] {
          pipeline.set_order({"use", "make", "change"});
        }) ==
        "pipeline 'flow': in this order stage 'use' reads buffer 'x' before any stage wrote it: "
        "put who writes it first, or make it carried");
  CHECK_THROWS_AS(pipeline.set_order({"make", "change"}), UseError);
  CHECK_THROWS_AS(pipeline.set_order({"make", "change", "use", "use"}), UseError);
  CHECK_THROWS_AS(pipeline.set_order({"make", "change", "lost"}), UseError);
  pipeline.set_order({"make", "change", "use"});
  CHECK(pipeline.order() == Names{"make", "change", "use"});
  for (int i = 0; i < 20; ++i) pipeline.execute_iteration();
  int x = 0;
  pipeline.read_buffer("x", &x, sizeof x);
  CHECK(x == 2);
}

TEST_CASE("pipeline: a carried buffer is lost between iterations, or read too late") {
  PipelineStageManager pipeline(make_cpu_stream_device());
  pipeline.add_buffer("state", sizeof(int), carried);
  pipeline.add_buffer("old", sizeof(int));
  std::vector<int> seen;
  pipeline.add_stage(stage("keep", {"state"}, {"old"}, map_int([](int x) { return x; })));
  pipeline.add_stage(stage("step", {"state"}, {"state"}, map_int([](int x) { return x + 3; })));
  pipeline.add_stage(stage("look", {"old"}, {},
                           [&](const StageCall& call) { seen.push_back(*call.input<int>(0)); }));
  const int begin = 5;
  pipeline.write_buffer("state", &begin, sizeof begin);
  for (int i = 0; i < 30; ++i) pipeline.execute_iteration();
  pipeline.synchronize(patience);
  REQUIRE(seen.size() == 30);
  for (int i = 0; i < 30; ++i) CHECK(seen[static_cast<std::size_t>(i)] == 5 + 3 * i);
}

TEST_CASE("pipeline: a graph is recorded for each iteration, or keeps the old work") {
  PipelineStageManager pipeline(make_cpu_stream_device(), {.graph = true});
  pipeline.add_buffer("state", sizeof(int), carried);
  pipeline.add_stage(stage("step", {"state"}, {"state"}, map_int([](int x) { return x + 1; })));
  for (int i = 0; i < 40; ++i) pipeline.execute_iteration();
  pipeline.set_work("step", map_int([](int x) { return x + 100; }));
  pipeline.execute_iteration();
  pipeline.execute_iteration();
  int state = 0;
  pipeline.read_buffer("state", &state, sizeof state);
  CHECK(state == 240);
  const PipelineStats stats = pipeline.stats();
  CHECK(stats.captures == 2);
  CHECK(stats.iterations == 42);
  CHECK(stats.overlap == 0);
  CHECK(stats.mean_ms > 0);
}

TEST_CASE("pipeline: a stage gets another's shape or buffers") {
  PipelineStageManager pipeline(make_cpu_stream_device());
  pipeline.add_buffer("x", 16);
  StageShape shape{{2, 3, 4}, {32, 1, 1}, 64};
  std::array<unsigned, 2> grids{};
  pipeline.add_stage({"one", shape, {}, {"x"}, [&](const StageCall& call) {
                        grids[0] = call.shape.grid[2];
                        CHECK(call.inputs.empty());
                        CHECK(call.outputs.size() == 1);
                        CHECK(!call.target.is_gpu);
                      }});
  pipeline.add_stage(
      {"two", {}, {"x"}, {}, [&](const StageCall& call) { grids[1] = call.shape.grid[0]; }});
  pipeline.execute_iteration();
  pipeline.synchronize(patience);
  CHECK(grids == std::array{4U, 1U});
  pipeline.set_shape("two", shape);
  pipeline.execute_iteration();
  pipeline.synchronize(patience);
  CHECK(grids == std::array{4U, 2U});
}

TEST_CASE("pipeline: statistics miss time, count it twice, or survive a reset") {
  detail::BusyTime busy;
  busy.add(0, 10);
  busy.add(5, 15);
  busy.add(20, 30);
  busy.settle(12);
  CHECK(busy.busy() == 12);
  CHECK(busy.shared() == 5);
  CHECK(busy.pending() == 2);
  busy.add(12, 14);
  busy.settle();
  CHECK(busy.busy() == 25);
  CHECK(busy.shared() == 7);
  CHECK(busy.span() == 30);

  PipelineStageManager pipeline(make_cpu_stream_device());
  pipeline.add_buffer("x", 4);
  pipeline.add_stage(stage("a", {}, {"x"}));
  pipeline.add_stage(
      stage("b", {"x"}, {}, [](const StageCall&) { std::this_thread::sleep_for(1ms); }));
  CHECK(pipeline.stats().iterations == 0);
  for (int i = 0; i < 5; ++i) {
    pipeline.execute_iteration();
    pipeline.synchronize(patience);  // nothing to overlap with
  }
  PipelineStats stats = pipeline.stats();
  CHECK(stats.iterations == 5);
  CHECK(stats.overlap == 0);
  CHECK(stats.mean_ms >= 1);
  CHECK(stats.iterations_per_second > 0);
  CHECK(stats.iterations_per_second <= 1000);
  REQUIRE(stats.stages.size() == 2);
  CHECK(stats.stages[1].name == "b");
  CHECK(stats.stages[1].mean_ms >= 1);
  CHECK(stats.mean_ms >= stats.stages[1].mean_ms);
  pipeline.reset_stats();
  CHECK(pipeline.stats().iterations == 0);
  CHECK(pipeline.stats().mean_ms == 0);
  pipeline.execute_iteration();
  pipeline.synchronize(patience);
  CHECK(pipeline.stats().iterations == 1);
}

TEST_CASE("pipeline: the host runs ahead without end, or waits without end") {
  PipelineStageManager pipeline(make_cpu_stream_device(),
                                {.name = "flow", .in_flight = 2, .deadline = 1ms});
  Door door;
  std::atomic<int> runs = 0;
  pipeline.add_stage(stage("slow", {}, {}, [&](const StageCall&) {
    door.pass();
    ++runs;
  }));
  pipeline.execute_iteration();
  const std::uint64_t second = pipeline.execute_iteration();
  for (const std::string& late : {message_of([&] { pipeline.execute_iteration(); }),
                                  message_of([&] { pipeline.wait(second, 1ms); })}) {
    CHECK(late.starts_with("pipeline 'flow', stage 'slow', iteration 1: "));
    CHECK(contains(late, "within 1 ms"));
  }
  CHECK_THROWS_AS(pipeline.synchronize(1ms), TimeoutError);
  CHECK_THROWS_AS(pipeline.wait(3), UseError);
  CHECK_THROWS_AS(pipeline.wait(0), UseError);
  door.open();
  pipeline.wait(second, patience);
  pipeline.execute_iteration();
  pipeline.synchronize(patience);
  CHECK(runs == 3);
}

TEST_CASE("pipeline: a work that throws is lost, unnamed, or ends the pipeline") {
  for (const bool graph : {false, true}) {
    PipelineStageManager pipeline(make_cpu_stream_device(), {.name = "flow", .graph = graph});
    std::atomic<int> runs = 0;
    std::atomic<bool> bad = true;
    pipeline.add_stage(stage("solve", {}, {}, [&](const StageCall&) {
      if (bad) throw std::runtime_error("no convergence");
      ++runs;
    }));
    pipeline.execute_iteration();
    CHECK(message_of([&] { pipeline.synchronize(patience); }) ==
          "pipeline 'flow', stage 'solve': no convergence");
    bad = false;
    pipeline.execute_iteration();
    pipeline.synchronize(patience);
    CHECK(runs == 1);
  }
}

TEST_CASE("pipeline: a launch that fails leaves half an iteration, or a capture, behind") {
  for (const bool graph : {false, true}) {
    CAPTURE(graph);
    auto device = std::make_shared<ScriptedDevice>();
    bool bad = true;
    {
      PipelineStageManager pipeline(device, {.name = "flow", .graph = graph});
      pipeline.add_buffer("x", 4);
      pipeline.add_stage(stage("a", {}, {"x"}));
      pipeline.add_stage(stage("b", {"x"}, {}, [&](const StageCall&) {
        if (bad) throw InputError("grid of 0 blocks");
      }));
      CHECK(message_of([&] { pipeline.execute_iteration(); }) ==
            "pipeline 'flow', stage 'b': grid of 0 blocks");
      CHECK(device->count("begin_capture") == device->count("end_capture"));
      CHECK(device->count("launch") == 0);
      bad = false;
      CHECK(pipeline.execute_iteration() == 1);
      for (const char* call : {"run", "record", "wait", "launch", "begin_capture", "end_capture"}) {
        device->failing = call;
        pipeline.set_work("a", nothing);
        try {
          pipeline.execute_iteration();
        } catch (const DeviceError&) {
        }
        device->failing.clear();
        pipeline.execute_iteration();
        pipeline.synchronize(patience);
      }
      CHECK(device->memories() == (graph ? 1 : 2));
    }
    CHECK(device->memories() == 0);
  }
}

TEST_CASE("pipeline: an allocation that fails leaves others behind, or ends the pipeline") {
  auto device = std::make_shared<ScriptedDevice>();
  PipelineStageManager pipeline(device, {.name = "flow", .copies = 3});
  pipeline.add_buffer("x", 4);
  pipeline.add_stage(stage("a", {}, {"x"}));
  int left = 3;
  device->before = [&](const char* call) {
    if (std::string(call) == "allocate" && --left == 0) device->failing = call;
  };
  CHECK(message_of([&] {
          pipeline.execute_iteration();
        }).starts_with("pipeline 'flow', its buffers: cudaErrorUnknown"));
  CHECK(device->memories() == 0);
  CHECK(pipeline.execute_iteration() == 1);
}

TEST_CASE("pipeline: memory is freed while stuck work still uses it") {
  auto device = std::make_shared<ScriptedDevice>();
  {
    PipelineStageManager pipeline(device, {.name = "flow", .deadline = 1ms});
    pipeline.add_buffer("x", 4);
    pipeline.add_stage(stage("a", {}, {"x"}));
    pipeline.execute_iteration();
    device->held = true;
    pipeline.execute_iteration();
    CHECK_THROWS_AS(pipeline.close(1ms), TimeoutError);
    CHECK_THROWS_AS(pipeline.execute_iteration(), UseError);
  }
  CHECK(device->memories() == 2);
}

TEST_CASE("pipeline: a TimeoutError of a work is taken for the close's own, and memory is kept") {
  auto device = make_cpu_stream_device();
  PipelineStageManager pipeline(device, {.name = "flow"});
  pipeline.add_buffer("x", 4);
  pipeline.add_stage(stage("a", {}, {"x"}, [](const StageCall&) { throw TimeoutError("inner"); }));
  pipeline.execute_iteration();
  CHECK(message_of([&] { pipeline.close(patience); }) == "pipeline 'flow', stage 'a': inner");
  CHECK(device->pool_use(nullptr).used == 0);
}

TEST_CASE("pipeline: wrong use passes, or a work that uses its own pipeline breaks it") {
  auto device = std::make_shared<ScriptedDevice>();
  CHECK_THROWS_AS(PipelineStageManager(device, {.copies = 0}), OptionError);
  CHECK_THROWS_AS(PipelineStageManager(device, {.in_flight = 257}), OptionError);
  CHECK_THROWS_AS(PipelineStageManager(nullptr), UseError);
  PipelineStageManager pipeline(device, {.name = "flow"});
  CHECK(message_of([&] { pipeline.execute_iteration(); }) ==
        "pipeline 'flow' has no stages: add one");
  pipeline.add_buffer("x", 4);
  pipeline.add_buffer("s", 4, carried);
  CHECK_THROWS_AS(pipeline.add_buffer("x", 4), UseError);
  CHECK_THROWS_AS(pipeline.add_buffer("empty", 0), UseError);
  CHECK(message_of([&] { pipeline.add_stage(stage("a", {"y"}, {})); }) ==
        "pipeline 'flow' has no buffer 'y': it has 'x', 's'");
  CHECK_THROWS_AS(pipeline.add_stage(stage("a", {}, {}, nullptr)), UseError);
  CHECK_THROWS_AS(pipeline.add_upload("up", "x", nullptr), UseError);
  pipeline.add_stage(
      stage("a", {}, {"x"}, [&](const StageCall&) { pipeline.execute_iteration(); }));
  CHECK_THROWS_AS(pipeline.add_stage(stage("a", {}, {})), UseError);
  CHECK_THROWS_AS(pipeline.set_host("a", &pipeline), UseError);
  CHECK_THROWS_AS(pipeline.set_work("a", nullptr), UseError);
  CHECK_THROWS_AS(pipeline.set_work("b", nothing), UseError);
  CHECK(contains(message_of([&] { pipeline.execute_iteration(); }), "uses its own pipeline"));
  pipeline.set_work("a", nothing);
  pipeline.execute_iteration();
  CHECK_THROWS_AS(pipeline.add_buffer("late", 4), UseError);
  CHECK_THROWS_AS(pipeline.set_order({"a"}), UseError);
  std::array<int, 2> data{};
  CHECK_THROWS_AS(pipeline.read_buffer("x", data.data(), 8), UseError);
  CHECK_THROWS_AS(pipeline.write_buffer("x", data.data(), 4), UseError);
  CHECK_THROWS_AS(pipeline.write_buffer("s", nullptr, 4), UseError);
  pipeline.write_buffer("s", data.data(), 4);
  pipeline.close();
  pipeline.close();
  CHECK(message_of([&] { pipeline.execute_iteration(); }) ==
        "pipeline 'flow' is closed: use it before its close");
  CHECK_THROWS_AS(std::ignore = pipeline.stats(), UseError);
}

TEST_CASE("pipeline: events pile up with every iteration") {
  auto device = std::make_shared<ScriptedDevice>();
  PipelineStageManager pipeline(device, {.in_flight = 3});
  pipeline.add_buffer("x", 4);
  for (const char* name : {"b", "c", "d"}) pipeline.add_stage(stage(name, {"x"}, {}));
  pipeline.add_stage(stage("a", {}, {"x"}));
  pipeline.execute_iteration();
  const std::size_t events = device->events_made;
  for (int i = 0; i < 100; ++i) pipeline.execute_iteration();
  CHECK(device->events_made == events);
  CHECK(pipeline.stats().iterations == 101);
}

}  // namespace
}  // namespace aatgs
