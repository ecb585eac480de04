// SPDX-License-Identifier: Apache-2.0
// The hazards of task graphs, for any scheduler. Whoever includes this has defined in aatgs::test
// `make_test_scheduler(steps, options)` and `ExecutorKind test_executor()`.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/host/task_scheduler.hpp>
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "../brief.hpp"
#include "task_test_steps.hpp"

namespace aatgs::test {

using namespace std::chrono_literals;

template <class T>
Buffer<T> test_buffer(std::size_t count) {
  return Buffer<T>(memory_of(test_executor()), count);
}

/// A random graph in layers, and what should become of it.
struct RandomGraph {
  RandomGraph(std::uint32_t tasks, double fail_share, std::uint64_t seed)
      : ran(test_buffer<std::uint32_t>(tasks)),
        wrong(test_buffer<std::uint32_t>(1)),
        dependencies(test_buffer<std::uint32_t>(4 * tasks)),
        expected(tasks, TaskStatus::completed) {
    std::mt19937_64 random(seed);
    const auto draw = [&](std::uint32_t below) {
      return static_cast<std::uint32_t>(random() % below);
    };
    std::vector<TaskId> all;
    for (TaskId id = 0; id < tasks; ++id) {
      std::vector<TaskId> before;
      const std::uint32_t reach = std::min<std::uint32_t>(id, 100);
      for (std::uint32_t i = draw(5); reach > 0 && i > 0; --i)
        before.push_back(id - 1 - draw(reach));
      const bool fails = static_cast<double>(draw(1'000'000)) < fail_share * 1e6;
      for (const TaskId other : before) {
        if (expected[other] != TaskStatus::completed) expected[id] = TaskStatus::cancelled;
      }
      if (fails && expected[id] == TaskStatus::completed) expected[id] = TaskStatus::failed;
      const CheckStep::Config config{id, static_cast<std::uint32_t>(all.size()),
                                     static_cast<std::uint32_t>(before.size()),
                                     fails ? 1000 + id : 0, 0};
      all.insert(all.end(), before.begin(), before.end());
      graph.add<CheckStep>("task " + std::to_string(id), config, before);
    }
    dependencies.upload(all);
  }

  [[nodiscard]] TestSteps steps() const {
    return test_steps(CheckStep{ran.data(), dependencies.data(), wrong.data()});
  }
  [[nodiscard]] std::uint64_t count(TaskStatus status) const {
    return static_cast<std::uint64_t>(std::count(expected.begin(), expected.end(), status));
  }
  void check(const TaskGraphSummary& s, const std::vector<TaskOutcome>& outcomes) {
    CHECK(s.end == TaskRunEnd::finished);
    CHECK(s.unfinished == 0);
    CHECK(s.completed == count(TaskStatus::completed));
    CHECK(s.failed == count(TaskStatus::failed));
    CHECK(s.cancelled == count(TaskStatus::cancelled));
    CHECK(wrong.download()[0] == 0);
    const auto times = ran.download();
    std::uint32_t amiss = 0;
    for (TaskId id = 0; id < expected.size(); ++id) {
      const bool runs = expected[id] == TaskStatus::completed;
      amiss += outcomes[id].status != expected[id] || times[id] != (runs ? 1U : 0U);
      amiss += expected[id] == TaskStatus::failed && outcomes[id].code != 1000 + id;
    }
    CHECK(amiss == 0);
  }
  /// Cancelled tasks that do not name one that did not complete, and on which they depend.
  [[nodiscard]] std::uint32_t wrong_causes(const std::vector<TaskOutcome>& outcomes) const {
    std::uint32_t amiss = 0;
    for (TaskId id = 0; id < expected.size(); ++id) {
      if (expected[id] != TaskStatus::cancelled) continue;
      const TaskId cause = outcomes[id].cause;
      if (cause < expected.size() && expected[cause] != TaskStatus::completed) {
        const auto after = graph.plan().dependents(cause);
        if (std::find(after.begin(), after.end(), id) != after.end()) continue;
      }
      ++amiss;
    }
    return amiss;
  }
  void clear() { ran.upload(std::vector<std::uint32_t>(ran.size(), 0)); }

  Buffer<std::uint32_t> ran;
  Buffer<std::uint32_t> wrong;
  Buffer<std::uint32_t> dependencies;
  std::vector<TaskStatus> expected;
  TestGraph graph;
};

TEST_CASE("tasks: one runs twice, never, or before what it depends on") {
  for (const TaskOrder order : {TaskOrder::critical_path, TaskOrder::fifo}) {
    RandomGraph random(brief_or(300, 5000), 0, 1);
    auto scheduler = make_test_scheduler(random.steps(), {.order = order});
    auto graph = scheduler->prepare(random.graph);
    for (int run = 0; run < 5; ++run) {
      CAPTURE(run);
      const GraphReport report = scheduler->run(graph);
      random.check(report.summary, graph.outcomes());
      random.clear();
    }
  }
}

TEST_CASE(
    "tasks: what depends on a failed one runs or waits for ever, what does not is cancelled") {
  RandomGraph random(brief_or(300, 3000), 0.02, 2);
  REQUIRE(random.count(TaskStatus::failed) > 0);
  REQUIRE(random.count(TaskStatus::cancelled) > 0);
  auto scheduler = make_test_scheduler(random.steps(), {});
  auto graph = scheduler->prepare(random.graph);
  for (int run = 0; run < 3; ++run) {
    CAPTURE(run);
    const GraphReport report = scheduler->run(graph);
    CHECK_FALSE(report.all_completed());
    random.check(report.summary, graph.outcomes());
    CHECK(random.expected[report.summary.first_failed] == TaskStatus::failed);
    random.clear();
  }
  for (TaskId id = 0; id < random.expected.size(); ++id) {
    if (random.expected[id] != TaskStatus::cancelled) continue;
    CHECK(graph.explain(id).find("failed with code") != std::string::npos);
    break;
  }
}

TEST_CASE("tasks: a run takes the configs or gives the results of another one") {
  RandomGraph random(200, 0, 3);
  auto scheduler = make_test_scheduler(random.steps(), {});
  auto graph = scheduler->prepare(random.graph);
  for (std::uint64_t run = 1; run <= 4; ++run) {
    for (TaskId id = 0; id < 200; ++id) graph.config<CheckStep>(id).stamp = run << 32;
    CHECK(scheduler->run(graph).all_completed());
    for (TaskId id = 0; id < 200; id += 13) {
      CHECK(graph.result<CheckStep>(id).stamp == (run << 32) + id);
    }
  }
}

TEST_CASE("tasks: a graph made or let go beside a kernel that never leaves waits for ever") {
  RandomGraph random(100, 0, 6);
  SchedulerOptions options;
  options.context.park_after = 0ns;
  auto scheduler = make_test_scheduler(random.steps(), options);
  for (int i = 0; i < 4; ++i) {
    auto graph = scheduler->prepare(random.graph);
    const GraphReport report = scheduler->run(graph);
    random.check(report.summary, graph.outcomes());
    random.clear();
  }
}

TEST_CASE("tasks: several graphs on their way are mixed up, or one twice at once") {
  RandomGraph a(300, 0, 4);
  auto scheduler = make_test_scheduler(a.steps(), {});
  auto graph_a = scheduler->prepare(a.graph);
  auto graph_c = scheduler->prepare(a.graph);
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t first = scheduler->submit(graph_a);
    CHECK_THROWS_WITH_AS(scheduler->submit(graph_a), doctest::Contains("on its way"), UseError);
    CHECK_THROWS_WITH_AS(graph_a.config<CheckStep>(0).stamp = 1, doctest::Contains("on its way"),
                         UseError);
    CHECK_THROWS_WITH_AS(static_cast<void>(graph_a.result<CheckStep>(0)),
                         doctest::Contains("on its way"), UseError);
    const std::uint64_t second = scheduler->submit(graph_c);
    CHECK(scheduler->in_flight() == 2);
    const auto one = scheduler->wait(20s);
    const auto two = scheduler->wait(20s);
    REQUIRE(one);
    REQUIRE(two);
    CHECK(one->ticket == first);
    CHECK(two->ticket == second);
    CHECK(one->all_completed());
    CHECK(two->all_completed());
    CHECK_FALSE(scheduler->wait(1ms));
  }
  for (const std::uint32_t times : a.ran.download()) CHECK(times == 6);
}

TEST_CASE("tasks: a wide fan loses one, or is joined too early") {
  const std::uint32_t width = brief_or(200, 4096);
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(width + 2);
  Buffer<std::uint32_t> wrong = test_buffer<std::uint32_t>(1);
  std::vector<std::uint32_t> before{0};
  for (std::uint32_t i = 1; i <= width; ++i) before.push_back(i);
  Buffer<std::uint32_t> dependencies = test_buffer<std::uint32_t>(before.size());
  dependencies.upload(before);
  TestGraph graph;
  graph.add<CheckStep>("fork", {0, 0, 0, 0, 0});
  std::vector<TaskId> fan;
  for (std::uint32_t i = 1; i <= width; ++i) {
    fan.push_back(graph.add<CheckStep>("fan", {i, 0, 1, 0, 0}, {0}));
  }
  graph.add<CheckStep>("join", {width + 1, 1, width, 0, 0}, fan);
  auto scheduler =
      make_test_scheduler(test_steps(CheckStep{ran.data(), dependencies.data(), wrong.data()}), {});
  auto prepared = scheduler->prepare(graph);
  CHECK(scheduler->run(prepared).all_completed());
  CHECK(wrong.download()[0] == 0);
  for (const std::uint32_t times : ran.download()) CHECK(times == 1);
}

TEST_CASE("tasks: a part of a wide task is lost or run twice, or the join does not wait for it") {
  const std::vector<std::uint32_t> widths{2, 3, 16, 100, 37, 5, 64, 9, 11, 200, 2, 3};
  std::uint32_t total = 0;
  for (const std::uint32_t width : widths) total += width;
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(total);
  TestGraph graph;
  std::vector<TaskId> joins;
  const TaskId root = graph.add<WideStep>("root", {0, no_task}, {}, {.parts = widths[0]});
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    TaskId wide = root;
    if (i > 0) wide = graph.add<WideStep>("wide", {first, no_task}, {root}, {.parts = widths[i]});
    joins.push_back(graph.add<AfterWideStep>("join", {first, widths[i]}, {wide}));
    first += widths[i];
  }
  const TaskId bad = graph.add<WideStep>("bad", {0, 1}, {joins[0]}, {.parts = 2});
  const TaskId never = graph.add<AfterWideStep>("never", {0, 1}, {bad});
  auto scheduler =
      make_test_scheduler(test_steps(WideStep{ran.data()}, AfterWideStep{ran.data()}), {});
  auto prepared = scheduler->prepare(graph);
  for (std::uint32_t run = 1; run <= 3; ++run) {
    const GraphReport report = scheduler->run(prepared);
    CHECK(report.summary.failed == 1);
    CHECK(report.summary.cancelled == 1);
    const auto outcomes = prepared.outcomes();
    CHECK(outcomes[bad].code == 42);
    CHECK(outcomes[never].status == TaskStatus::cancelled);
    for (std::size_t i = 1; i < widths.size(); ++i) {
      CHECK(prepared.result<AfterWideStep>(joins[i]).ran == run * widths[i]);
    }
  }
}

TEST_CASE("tasks: more parts than the queues have room for hang the run") {
  constexpr std::uint32_t room = 8;  // of which spawned tasks may need half
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(room + 1);
  Buffer<std::uint32_t> done = test_buffer<std::uint32_t>(1);
  const auto scheduler_of = [&](TaskDispatch dispatch) {
    return make_test_scheduler(test_steps(WideStep{ran.data()}, OddStep{done.data()}),
                               {.most_tasks = 4, .spawn_slots = 4, .dispatch = dispatch});
  };
  const auto wide = [](std::uint32_t parts, std::uint32_t in_a_row) {
    TestGraph graph;
    for (TaskId id = 0; id < in_a_row; ++id) {
      std::vector<TaskId> before;
      if (id > 0) before.push_back(id - 1);
      graph.add<WideStep>("wide", {0, no_task}, before, {.parts = parts});
    }
    return graph;
  };
  auto scheduler = scheduler_of(TaskDispatch::dynamic);
  auto fits = scheduler->prepare(wide(room, 3));
  CHECK(scheduler->run(fits).all_completed());
  CHECK_THROWS_WITH_AS(static_cast<void>(scheduler->prepare(wide(room + 1, 1))),
                       doctest::Contains("9 parts"), UseError);
  TestGraph spawning = wide(room - 1, 1);
  spawning.add<OddStep>("may spawn", {2, 4});
  CHECK_THROWS_WITH_AS(static_cast<void>(scheduler->prepare(spawning)),
                       doctest::Contains("8 parts"), UseError);
  // Turns of a fixed schedule are in no queue.
  auto fixed = scheduler_of(TaskDispatch::fixed);
  auto turns = fixed->prepare(wide(room + 1, 1));
  CHECK(fixed->run(turns).all_completed());
}

TEST_CASE("tasks: what was spawned is lost or run twice, or the continuation runs before its end") {
  constexpr std::uint64_t fib[] = {0,  1,  1,  2,   3,   5,   8,   13, 21,
                                   34, 55, 89, 144, 233, 377, 610, 987};
  const std::uint32_t most = brief_or(8, 15);
  Buffer<std::uint64_t> cells = test_buffer<std::uint64_t>(2 * (most + 1));
  TestGraph graph;
  std::vector<TaskId> reads;
  std::uint64_t spawned = 0;
  std::uint64_t sums = 0;
  for (std::uint32_t n = 0; n <= most; ++n) {
    std::uint64_t* cell = cells.data() + 2 * n;
    const TaskId task = graph.add<FibStep>("fib", {n, 0, cell});
    reads.push_back(graph.add<ReadStep>("read", {cell}, {task}));
    const std::uint64_t calls = n < 2 ? 0 : fib[n + 1] - 1;  // inner nodes of the tree
    sums += calls;
    spawned += 3 * calls;
  }
  auto scheduler = make_test_scheduler(test_steps(FibStep{}, SumStep{cells.data()}, ReadStep{}),
                                       {.spawn_slots = 1 << 14});
  auto prepared = scheduler->prepare(graph);
  for (std::uint64_t run = 1; run <= 3; ++run) {
    const GraphReport report = scheduler->run(prepared);
    CHECK(report.all_completed());
    CHECK(report.summary.spawned == spawned);
    CHECK(report.summary.completed == graph.plan().size() + spawned);
    std::uint64_t all_sums = 0;
    for (std::uint32_t n = 0; n <= most; ++n) {
      const ReadStep::Result result = prepared.result<ReadStep>(reads[n]);
      CHECK(result.value == run * fib[n]);
      all_sums += result.sums;
    }
    CHECK(all_sums == run * sums);
  }
}

TEST_CASE("tasks: a spawn for which there is no room is forgotten, or takes others with it") {
  Buffer<std::uint64_t> cells = test_buffer<std::uint64_t>(4);
  TestGraph graph;
  const TaskId bad = graph.add<FibStep>("too deep", {12, 0, cells.data()});
  const TaskId lost = graph.add<ReadStep>("its reader", {cells.data()}, {bad});
  const TaskId good = graph.add<FibStep>("shallow", {1, 0, cells.data() + 2});
  auto scheduler = make_test_scheduler(test_steps(FibStep{}, SumStep{cells.data()}, ReadStep{}),
                                       {.spawn_slots = 8});
  auto prepared = scheduler->prepare(graph);
  for (int run = 0; run < 5; ++run) {
    const TaskGraphSummary s = scheduler->run(prepared).summary;
    CHECK(s.end == TaskRunEnd::finished);
    CHECK(s.refused > 0);
    CHECK(s.unfinished == 0);
    const auto outcomes = prepared.outcomes();
    CHECK(outcomes[bad].status == TaskStatus::failed);
    CHECK(outcomes[bad].code == no_room_to_spawn);
    CHECK(outcomes[lost].status == TaskStatus::cancelled);
    CHECK(outcomes[good].status == TaskStatus::completed);
  }
}

TEST_CASE("tasks: one that waits for what nobody will do hangs the run, or keeps its slot") {
  Buffer<std::uint32_t> done = test_buffer<std::uint32_t>(1);
  TestGraph bad;
  bad.add<OddStep>("waits in vain", {1, 0});
  TestGraph good;
  good.add<OddStep>("spawns", {2, 500});
  auto scheduler = make_test_scheduler(test_steps(OddStep{done.data()}), {.spawn_slots = 2});
  auto waits = scheduler->prepare(bad);
  auto spawns = scheduler->prepare(good);
  for (std::uint32_t run = 1; run <= 4; ++run) {
    const TaskGraphSummary s = scheduler->run(waits).summary;
    CHECK(s.end == TaskRunEnd::stalled);
    CHECK(s.unfinished == 1);
    CHECK(s.tasks + s.spawned == s.completed + s.failed + s.cancelled + s.unfinished);
    CHECK(scheduler->run(spawns).all_completed());
    CHECK(done.download()[0] == run * 501);  // some spawned, the others done at once
  }
}

TEST_CASE("tasks: one that waits in vain keeps its slot where others were queued behind it") {
  Buffer<std::uint32_t> done = test_buffer<std::uint32_t>(1);
  TestGraph bad;
  bad.add<OddStep>("waits in vain", {1, 0});
  TestGraph good;
  good.add<OddStep>("spawns", {2, 1});
  auto scheduler = make_test_scheduler(test_steps(OddStep{done.data()}), {.spawn_slots = 4});
  auto waits = scheduler->prepare(bad);
  auto spawns = scheduler->prepare(good);
  for (int run = 0; run < 6; ++run) {
    CAPTURE(run);
    scheduler->submit(waits);
    scheduler->submit(spawns);
    const auto first = scheduler->wait(20s);
    REQUIRE(first);
    CHECK(first->summary.end == TaskRunEnd::stalled);
    CHECK(first->summary.refused == 0);
    CHECK(scheduler->wait(20s));
  }
}

inline SchedulerOptions one_worker_in_given_order() {
  SchedulerOptions options;
  options.order = TaskOrder::given;
  options.context.workers = 1;
  options.context.cpu_threads = 1;
  return options;
}

TEST_CASE("tasks: those that come first run last") {
  constexpr std::uint32_t count = 64;
  Buffer<std::uint32_t> order = test_buffer<std::uint32_t>(count);
  Buffer<std::uint32_t> next = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  // A root that frees all at once, more than a worker hands out by itself.
  const TaskId root = graph.add<OrderStep>("root", {0});
  for (std::uint32_t i = 1; i < count; ++i) {
    graph.add<OrderStep>("task", {i}, {root}, {.priority = static_cast<std::uint8_t>(7 - i / 8)});
  }
  auto scheduler = make_test_scheduler(test_steps(OrderStep{order.data(), next.data()}),
                                       one_worker_in_given_order());
  auto prepared = scheduler->prepare(graph);
  CHECK(scheduler->run(prepared).all_completed());
  const auto ran = order.download();
  // One worker takes up to 8 of a class at once; a few go their own way at the root's end.
  std::uint32_t misplaced = 0;
  for (std::uint32_t i = 9; i < count; ++i) misplaced += ran[i] > ran[i - 8] ? 1 : 0;
  CHECK(misplaced <= 2);
}

TEST_CASE("tasks: the first of many that one makes ready waits for others that were kept later") {
  constexpr std::uint32_t count = 160;  // more than are dealt at once
  Buffer<std::uint32_t> order = test_buffer<std::uint32_t>(count + 2);
  Buffer<std::uint32_t> next = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  const TaskId root = graph.add<OrderStep>("root", {0});
  const TaskId last = graph.add<OrderStep>("last", {1}, {root});
  for (std::uint32_t i = 0; i < count; ++i) {  // behind two, so that they are no run of edges
    graph.add<OrderStep>("task", {i + 2}, {root, last},
                         {.priority = static_cast<std::uint8_t>(i * 8 / count)});
  }
  auto scheduler = make_test_scheduler(test_steps(OrderStep{order.data(), next.data()}),
                                       one_worker_in_given_order());
  auto prepared = scheduler->prepare(graph);
  CHECK(scheduler->run(prepared).all_completed());
  CHECK(order.download()[2] == 2);
}

TEST_CASE("tasks: graphs and configs that cannot be are run") {
  RandomGraph random(10, 0, 6);
  auto scheduler = make_test_scheduler(random.steps(), {.most_tasks = 16, .spawn_slots = 16});
  CHECK_THROWS_WITH_AS(static_cast<void>(scheduler->prepare(TestGraph{})),
                       doctest::Contains("without tasks"), UseError);
  RandomGraph large(17, 0, 6);
  CHECK_THROWS_WITH_AS(static_cast<void>(scheduler->prepare(large.graph)),
                       doctest::Contains("most_tasks = 16"), UseError);
  TestGraph circle;
  circle.add<CheckStep>("egg", {});
  circle.add<CheckStep>("hen", {}, {0});
  CHECK_THROWS_WITH_AS(circle.add<CheckStep>("behind nothing", {}, {0, 2}),
                       doctest::Contains("names task 2, but the graph has only 2"), UseError);
  CHECK(circle.plan().size() == 2);
  circle.add_dependency(1, 0);
  CHECK_THROWS_WITH_AS(static_cast<void>(scheduler->prepare(circle)), doctest::Contains("'egg'"),
                       UseError);
  auto graph = scheduler->prepare(random.graph);
  CHECK_THROWS_WITH_AS(static_cast<void>(graph.config<CheckStep>(10)), doctest::Contains("task 10"),
                       UseError);
  CHECK_THROWS_WITH_AS(static_cast<void>(graph.explain(10)), doctest::Contains("task 10"),
                       UseError);
  for (const std::uint32_t slots : {0U, 3U, 1U << 21}) {
    CHECK_THROWS_AS(make_test_scheduler(random.steps(), {.spawn_slots = slots}), OptionError);
  }
  CHECK_THROWS_AS(make_test_scheduler(random.steps(), {.most_tasks = 0}), OptionError);
  SchedulerOptions no_device;
  no_device.context.device = -1;
  CHECK_THROWS_WITH_AS(make_test_scheduler(random.steps(), no_device),
                       doctest::Contains("device = -1"), OptionError);
  CHECK(scheduler->run(graph).all_completed());
  CHECK(scheduler->context().shutdown(StopMode::drain));
  CHECK_THROWS_AS(scheduler->submit(graph), UseError);
}

TEST_CASE("tasks: the config of one step is taken for that of another") {
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  graph.add<WideStep>("the wide one", {0, no_task});
  auto scheduler =
      make_test_scheduler(test_steps(WideStep{ran.data()}, AfterWideStep{ran.data()}), {});
  auto prepared = scheduler->prepare(graph);
  CHECK_THROWS_WITH_AS(static_cast<void>(prepared.config<AfterWideStep>(0)),
                       doctest::Contains("'the wide one'"), UseError);
}

TEST_CASE("tasks: the time of a type is not learned, or not used") {
  Buffer<std::uint32_t> order = test_buffer<std::uint32_t>(4);
  Buffer<std::uint32_t> next = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  for (std::uint32_t i = 0; i < 4; ++i) graph.add<OrderStep>("task", {i});
  auto scheduler = make_test_scheduler(test_steps(OrderStep{order.data(), next.data()}), {});
  auto prepared = scheduler->prepare(graph);
  constexpr std::uint8_t type = TestSteps::type_of<OrderStep>();
  CHECK(scheduler->type_ns()[type] == 0);
  const TaskGraphSummary s = scheduler->run(prepared).summary;
  CHECK(s.types[type].tasks == 4);
  CHECK(scheduler->type_ns()[type] > 0);
  CHECK(scheduler->reranked() == 0);
  scheduler->run(prepared);
  CHECK(scheduler->reranked() >= 1);
}

TEST_CASE("tasks: an abort does not reach tasks that spawn each other for ever") {
  Buffer<std::uint32_t> done = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  for (int i = 0; i < 20; ++i) graph.add<OddStep>("again and again", {3, 0});
  auto scheduler = make_test_scheduler(test_steps(OddStep{done.data()}), {});
  auto prepared = scheduler->prepare(graph);
  scheduler->submit(prepared);
  CHECK_FALSE(scheduler->wait(20ms));
  CHECK(scheduler->context().shutdown(StopMode::abort, 10s));
}

/// Aborts a graph that does not end by itself.
inline void check_abort(TaskScheduler<TestSteps>& scheduler, const TestGraph& graph) {
  auto prepared = scheduler.prepare(graph);
  scheduler.submit(prepared);
  CHECK_FALSE(scheduler.wait(20ms));
  CHECK(scheduler.context().shutdown(StopMode::abort, 10s));
  const auto stats = scheduler.context().stats();
  CHECK(stats.submitted == stats.completed + stats.failed + stats.dropped);
  CHECK_THROWS_AS(scheduler.submit(prepared), UseError);
}

TEST_CASE("tasks: a run that does not end in time does not say what to do, or a full ring") {
  TestGraph graph;
  graph.add<LongStep>("long", {0});
  SchedulerOptions options;
  options.context.queue_deadline = 7us;
  options.context.config_slots = options.context.telemetry_slots = 2;
  auto scheduler = make_test_scheduler(test_steps(LongStep{}), options);
  auto prepared = scheduler->prepare(graph);
  std::vector<PreparedGraph<TestSteps>> others;
  for (int i = 0; i < 4; ++i) others.push_back(scheduler->prepare(graph));
  CHECK_THROWS_WITH_AS(scheduler->run(prepared, 5ms),
                       doctest::Contains("its deadline of 5000000 ns"), TimeoutError);
  const auto submit_all = [&] {
    for (auto& other : others) scheduler->submit(other);
  };
  CHECK_THROWS_WITH_AS(submit_all(), doctest::Contains("queue_deadline = 7000 ns"), TimeoutError);
  CHECK(scheduler->context().shutdown(StopMode::abort, 10s));
}

TEST_CASE("tasks: an abort waits for a graph that does not end") {
  TestGraph graph;
  const TaskId first = graph.add<LongStep>("long", {0});
  for (std::uint32_t i = 1; i < 50; ++i) graph.add<LongStep>("behind", {i}, {first});
  auto scheduler = make_test_scheduler(test_steps(LongStep{}), {});
  check_abort(*scheduler, graph);
}

// ---- fixed schedules

inline SchedulerOptions by_schedule() {
  SchedulerOptions options;
  options.dispatch = TaskDispatch::fixed;
  return options;
}

TEST_CASE("fixed schedule: a turn is skipped, taken twice or too early, or a failure misses one") {
  // From all to none of the dependencies on the same worker.
  for (const std::uint32_t workers : {1U, 3U, 0U}) {
    for (const TaskOrder order : {TaskOrder::critical_path, TaskOrder::fifo}) {
      for (const double fail_share : {0.0, 0.02}) {
        CAPTURE(workers);
        CAPTURE(fail_share);
        RandomGraph random(brief_or(300, 1000), fail_share, 7);
        SchedulerOptions options = by_schedule();
        options.order = order;
        options.context.workers = options.context.cpu_threads = workers;
        auto scheduler = make_test_scheduler(random.steps(), options);
        auto graph = scheduler->prepare(random.graph);
        for (int run = 0; run < 3; ++run) {
          CAPTURE(run);
          const GraphReport report = scheduler->run(graph, 20s);
          CHECK(report.dispatch == TaskDispatch::fixed);
          const auto outcomes = graph.outcomes();
          random.check(report.summary, outcomes);
          CHECK(random.wrong_causes(outcomes) == 0);
          random.clear();
        }
        for (TaskId id = 0; id < random.expected.size(); ++id) {
          if (random.expected[id] != TaskStatus::cancelled) continue;
          CHECK(graph.explain(id).find("failed with code") != std::string::npos);
          break;
        }
      }
    }
  }
}

TEST_CASE(
    "fixed schedule: parts are lost, doubled or not waited for, or cancelled once for each part") {
  const std::vector<std::uint32_t> widths{2, 3, 16, 100, 37, 5, 64, 9, 11, 200, 2, 3};
  std::uint32_t total = 0;
  for (const std::uint32_t width : widths) total += width;
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(total + 8);
  TestGraph graph;
  std::vector<TaskId> wides;
  std::vector<TaskId> joins;
  std::uint32_t first = 0;
  for (const std::uint32_t width : widths) {
    std::vector<TaskId> before;
    if (!wides.empty()) before.push_back(wides[wides.size() / 2]);
    wides.push_back(graph.add<WideStep>("wide", {first, no_task}, before, {.parts = width}));
    joins.push_back(graph.add<AfterWideStep>("join", {first, width}, {wides.back()}));
    first += width;
  }
  const TaskId all = graph.add<AfterWideStep>("all", {0, total}, wides);
  const TaskId bad = graph.add<WideStep>("bad", {total, 2}, {joins[0]}, {.parts = 3});
  const TaskId never = graph.add<AfterWideStep>("never", {0, 1}, {bad});
  const TaskId wide_never =
      graph.add<WideStep>("wide never", {total + 3, no_task}, {bad, joins[1]}, {.parts = 5});
  const TaskId last = graph.add<AfterWideStep>("last", {0, 1}, {wide_never, all});
  auto scheduler = make_test_scheduler(test_steps(WideStep{ran.data()}, AfterWideStep{ran.data()}),
                                       by_schedule());
  auto prepared = scheduler->prepare(graph);
  for (std::uint32_t run = 1; run <= 3; ++run) {
    const GraphReport report = scheduler->run(prepared, 20s);
    CHECK(report.dispatch == TaskDispatch::fixed);
    CHECK(report.summary.end == TaskRunEnd::finished);
    CHECK(report.summary.completed == wides.size() + joins.size() + 1);
    CHECK(report.summary.failed == 1);
    CHECK(report.summary.cancelled == 3);
    const auto outcomes = prepared.outcomes();
    CHECK(outcomes[bad].code == 43);
    CHECK(outcomes[never].status == TaskStatus::cancelled);
    CHECK(outcomes[wide_never].status == TaskStatus::cancelled);
    CHECK(outcomes[last].status == TaskStatus::cancelled);
    CHECK(prepared.explain(last) ==
          "task 'last' was cancelled because task 'wide never' was cancelled because task 'bad' "
          "failed with code 43");
    for (std::size_t i = 0; i < widths.size(); ++i) {
      CHECK(prepared.result<AfterWideStep>(joins[i]).ran == run * widths[i]);
    }
    CHECK(prepared.result<AfterWideStep>(all).ran == run * total);
    const auto times = ran.download();
    for (std::uint32_t i = 0; i < 3; ++i) CHECK(times[total + i] == run);
    for (std::uint32_t i = 3; i < 8; ++i) CHECK(times[total + i] == 0);
  }
}

TEST_CASE("fixed schedule: what a worker holds back is given to the wrong one, late or never") {
  const std::uint32_t width = brief_or(200, 2000);
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(width + 3);
  Buffer<std::uint32_t> wrong = test_buffer<std::uint32_t>(1);
  Buffer<std::uint32_t> dependencies = test_buffer<std::uint32_t>(2 * width + 1);
  TestGraph graph;
  graph.add<CheckStep>("fork", {0, 0, 0, 0, 0});
  // Joined by one, by the other, or by both: mostly as the one before.
  std::vector<TaskId> joined[2];
  std::mt19937 random(8);
  std::uint32_t by = 1;
  for (std::uint32_t i = 1; i <= width; ++i) {
    graph.add<CheckStep>("fan", {i, 0, 1, 0, 0}, {0});
    if (random() % 4 == 0) by = static_cast<std::uint32_t>(1 + random() % 3);
    for (const std::uint32_t join : {0U, 1U}) {
      if ((by >> join & 1) != 0) joined[join].push_back(i);
    }
  }
  std::vector<std::uint32_t> all{0};
  TaskId joins[2];
  for (const std::uint32_t join : {0U, 1U}) {
    const CheckStep::Config config{width + 1 + join, static_cast<std::uint32_t>(all.size()),
                                   static_cast<std::uint32_t>(joined[join].size()), 0, 0};
    all.insert(all.end(), joined[join].begin(), joined[join].end());
    joins[join] = graph.add<CheckStep>("join", config, joined[join]);
  }
  dependencies.upload(all);
  auto scheduler = make_test_scheduler(
      test_steps(CheckStep{ran.data(), dependencies.data(), wrong.data()}), by_schedule());
  auto prepared = scheduler->prepare(graph);
  const auto is_in = [&](std::uint32_t join, TaskId id) {
    return std::find(joined[join].begin(), joined[join].end(), id) != joined[join].end();
  };
  for (const TaskId bad : {no_task, joined[0].front(), joined[1].back(), joined[0][width / 4]}) {
    CAPTURE(bad);
    if (bad != no_task) prepared.config<CheckStep>(bad).fails = 9;
    const GraphReport report = scheduler->run(prepared, 20s);
    CHECK(report.summary.end == TaskRunEnd::finished);
    const auto times = ran.download();
    const auto outcomes = prepared.outcomes();
    for (TaskId id = 0; id <= width; ++id) REQUIRE(times[id] == (id == bad ? 0 : 1));
    for (const std::uint32_t join : {0U, 1U}) {
      const bool runs = !is_in(join, bad);
      CHECK(times[joins[join]] == (runs ? 1 : 0));
      CHECK(outcomes[joins[join]].status == (runs ? TaskStatus::completed : TaskStatus::cancelled));
      if (!runs) CHECK(outcomes[joins[join]].cause == bad);
    }
    CHECK(wrong.download()[0] == 0);
    ran.upload(std::vector<std::uint32_t>(ran.size(), 0));
    if (bad != no_task) prepared.config<CheckStep>(bad).fails = 0;
  }
}

TEST_CASE("fixed schedule: of the many that depend on a task some are forgotten or told twice") {
  constexpr std::uint32_t hubs = 3;
  constexpr std::uint32_t width = 300;  // more than a worker's first lanes release, by far
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(hubs + width);
  Buffer<std::uint32_t> wrong = test_buffer<std::uint32_t>(1);
  Buffer<std::uint32_t> dependencies = test_buffer<std::uint32_t>(hubs);
  const std::vector<TaskId> all{0, 1, 2};
  dependencies.upload(all);
  TestGraph graph;
  graph.add<CheckStep>("hub", {0, 0, 0, 0, 0});
  graph.add<CheckStep>("hub", {1, 0, 0, 0, 0});
  graph.add<CheckStep>("late hub", {2, 1, 1, 0, 0}, {1});
  // Every third one waits for the first hub alone.
  for (std::uint32_t i = hubs; i < hubs + width; ++i) {
    const std::uint32_t count = i % 3 == 0 ? 1 : hubs;
    graph.add<CheckStep>("one of many", {i, 0, count, 0, 0}, std::span(all).first(count));
  }
  auto scheduler = make_test_scheduler(
      test_steps(CheckStep{ran.data(), dependencies.data(), wrong.data()}), by_schedule());
  auto prepared = scheduler->prepare(graph);
  for (const TaskId bad : {no_task, 2U, 0U}) {
    CAPTURE(bad);
    if (bad != no_task) prepared.config<CheckStep>(bad).fails = 9;
    CHECK(scheduler->run(prepared, 20s).summary.end == TaskRunEnd::finished);
    const auto times = ran.download();
    const auto outcomes = prepared.outcomes();
    std::uint32_t amiss = 0;
    for (TaskId id = hubs; id < hubs + width; ++id) {
      const bool runs = bad == no_task || (bad == 2 && id % 3 == 0);
      amiss += times[id] != (runs ? 1U : 0U);
      amiss += outcomes[id].status != (runs ? TaskStatus::completed : TaskStatus::cancelled);
      amiss += !runs && outcomes[id].cause != bad;
    }
    CHECK(amiss == 0);
    CHECK(wrong.download()[0] == 0);
    ran.upload(std::vector<std::uint32_t>(ran.size(), 0));
    if (bad != no_task) prepared.config<CheckStep>(bad).fails = 0;
  }
}

TEST_CASE("fixed schedule: an abort does not reach workers that wait for their turns") {
  // Two workers: one has the long one in the last turn before it looks whether it is to stop, the
  // other then waits for one behind that, which is never taken.
  constexpr std::uint32_t count = 300;
  constexpr TaskId at = 126;
  Buffer<std::uint32_t> order = test_buffer<std::uint32_t>(count);
  Buffer<std::uint32_t> next = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  for (std::uint32_t i = 0; i < at; ++i) graph.add<OrderStep>("before", {i});
  graph.add<LongStep>("long", {at});
  graph.add<OrderStep>("beside", {at + 1});
  graph.add<OrderStep>("behind", {at + 2}, {at});
  for (std::uint32_t i = at + 3; i < count; ++i) {
    graph.add<OrderStep>("further behind", {i}, {at + 2});
  }
  SchedulerOptions options = by_schedule();
  options.order = TaskOrder::fifo;
  options.context.workers = 2;
  options.context.cpu_threads = 2;
  auto scheduler =
      make_test_scheduler(test_steps(OrderStep{order.data(), next.data()}, LongStep{}), options);
  check_abort(*scheduler, graph);
}

TEST_CASE("fixed schedule: a graph whose tasks may spawn is given one") {
  Buffer<std::uint32_t> done = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  const TaskId first = graph.add<OrderStep>("does not", {0});
  graph.add<OddStep>("the one that spawns", {2, 10}, {first});
  Buffer<std::uint32_t> order = test_buffer<std::uint32_t>(2);
  const auto steps = test_steps(OddStep{done.data()}, OrderStep{order.data(), order.data() + 1});
  auto fixed = make_test_scheduler(steps, by_schedule());
  CHECK_THROWS_WITH_AS(static_cast<void>(fixed->prepare(graph)),
                       doctest::Contains("'the one that spawns'"), UseError);
  auto automatic = make_test_scheduler(steps, {});
  auto prepared = automatic->prepare(graph);
  for (std::uint32_t run = 1; run <= 3; ++run) {
    const GraphReport report = automatic->run(prepared);
    CHECK(report.dispatch == TaskDispatch::dynamic);
    CHECK(report.all_completed());
    CHECK(report.summary.spawned == 10);
    CHECK(done.download()[0] == run * 10);
  }
}

TEST_CASE("fixed schedule: one of a gigabyte is made for very many parts") {
  Buffer<std::uint32_t> ran = test_buffer<std::uint32_t>(1);
  TestGraph graph;
  while (graph.plan().size() * std::uint64_t{most_task_parts} <= 1 << 20) {
    graph.add<WideStep>("wide", {0, no_task}, {}, {.parts = most_task_parts});
  }
  auto scheduler = make_test_scheduler(test_steps(WideStep{ran.data()}), by_schedule());
  CHECK_THROWS_WITH_AS(static_cast<void>(scheduler->prepare(graph)),
                       doctest::Contains("parts, more than"), UseError);
}

TEST_CASE("automatic dispatch: one way is never tried, or a graph does not stay with the better") {
  RandomGraph random(100, 0, 9);
  auto scheduler = make_test_scheduler(random.steps(), {});
  auto graph = scheduler->prepare(random.graph);
  const auto run = [&] {
    const GraphReport report = scheduler->run(graph, 20s);
    random.check(report.summary, graph.outcomes());
    random.clear();
    return report;
  };
  // It tries anew when times have changed: on a busy machine now and then.
  constexpr int trials = 2 * DispatchChoice::trials;
  std::uint64_t reranked = 0;
  int runs = 0;
  int fixed_runs = 0;
  double best_us[2] = {1e9, 1e9};  // dynamic, fixed
  for (int i = 0; i < 1000 && runs < trials + 4; ++i) {
    const GraphReport report = run();
    const bool is_fixed = report.dispatch == TaskDispatch::fixed;
    if (scheduler->reranked() != reranked) {
      reranked = scheduler->reranked();
      runs = fixed_runs = 0;
      best_us[0] = best_us[1] = 1e9;
    }
    if (++runs > trials) {
      CHECK(fixed_runs == DispatchChoice::trials);
      CHECK(is_fixed == (best_us[1] < best_us[0]));
      continue;
    }
    fixed_runs += is_fixed ? 1 : 0;
    best_us[is_fixed ? 1 : 0] = std::min(best_us[is_fixed ? 1 : 0], report.device_us());
  }
  CHECK(runs == trials + 4);
}

// ---- the rules of dynamic dispatch

inline SchedulerOptions by_rules(const TaskRules& rules) {
  SchedulerOptions options;
  options.dispatch = TaskDispatch::dynamic;
  options.rules = rules;
  return options;
}

TEST_CASE("task rules: without one of them tasks are lost, doubled or too early") {
  RandomGraph random(brief_or(300, 800), 0.01, 10);
  for (const TaskRules& rules : {TaskRules{.keep = false}, TaskRules{.hand_out = false},
                                 TaskRules{.most_claimed = 1}, TaskRules{false, false, 1}}) {
    CAPTURE(rules.keep);
    CAPTURE(rules.hand_out);
    CAPTURE(rules.most_claimed);
    auto scheduler = make_test_scheduler(random.steps(), by_rules(rules));
    auto graph = scheduler->prepare(random.graph);
    for (int run = 0; run < 2; ++run) {
      const TaskGraphSummary s = scheduler->run(graph, 20s).summary;
      random.check(s, graph.outcomes());
      random.clear();
      CHECK(s.decisions.claims > 0);
      if (!rules.hand_out) CHECK(s.decisions.handed == 0);
      if (rules.most_claimed == 1) CHECK(s.decisions.claims == s.decisions.claimed);
    }
  }
}

TEST_CASE("task rules: one that is off is followed, or one that is on is not") {
  constexpr std::uint32_t count = 100;
  Buffer<std::uint32_t> order = test_buffer<std::uint32_t>(count);
  Buffer<std::uint32_t> next = test_buffer<std::uint32_t>(1);
  TestGraph chain;
  TestGraph many;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::vector<TaskId> before;
    if (i > 0) before.push_back(i - 1);
    chain.add<OrderStep>("link", {i}, before);
    many.add<OrderStep>("root", {i});
  }
  // One worker, so that it is known what it does.
  const auto decisions = [&](const TestGraph& graph, const TaskRules& rules) {
    SchedulerOptions options = by_rules(rules);
    options.context.workers = 1;
    options.context.cpu_threads = 1;
    auto scheduler = make_test_scheduler(test_steps(OrderStep{order.data(), next.data()}), options);
    auto prepared = scheduler->prepare(graph);
    const GraphReport report = scheduler->run(prepared, 20s);
    CHECK(report.all_completed());
    CHECK(report.summary.decisions.handed == 0);
    return report.summary.decisions;
  };
  CHECK(decisions(chain, {}).claimed == 0);
  CHECK(decisions(chain, {.keep = false}).claimed == count);
  for (const std::uint32_t most : {1U, 3U, 8U}) {
    CAPTURE(most);
    const TaskDecisions d = decisions(many, {.keep = false, .most_claimed = most});
    CHECK(d.claimed == count);
    CHECK(d.claims >= count / most);
    CHECK((d.claims == count) == (most == 1));
  }
}

TEST_CASE("task rules: more is claimed at once than a worker has room for, or nothing ever") {
  for (const std::uint32_t most : {0U, 9U}) {
    CHECK_THROWS_WITH_AS(
        make_test_scheduler(test_steps(LongStep{}), by_rules({.most_claimed = most})),
        doctest::Contains("most_claimed"), OptionError);
  }
}

}  // namespace aatgs::test
