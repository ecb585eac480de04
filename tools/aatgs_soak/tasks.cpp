// SPDX-License-Identifier: Apache-2.0
#include "tasks.hpp"

#include <algorithm>

#include "part_runner.hpp"

namespace aatgs::soak {

using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t spawn_slots = 1 << 16;
constexpr std::uint32_t most_tasks = 1 << 15;

/// A task with all that comes of it. Of a task of a graph only what it spawns is counted.
struct Family {
  TaskExpectation all;
  bool well = true;
};

Family family_of(const TaskDraw& draw, std::uint32_t depth, std::uint32_t fail_one_in,
                 bool spawned) {
  Family family;
  family.all.spawned = spawned ? 1 : 0;
  if (draw.fails(fail_one_in)) {
    family.all.failed = spawned ? 1 : 0;
    family.well = false;
    return family;
  }
  family.all.sum = draw.mark();
  family.all.completed = spawned ? 1 : 0;
  const std::uint32_t children = draw.children(depth);
  if (children == 0) return family;
  for (std::uint32_t i = 0; i < children; ++i) {
    const Family child = family_of(draw.child(i), depth - 1, fail_one_in, true);
    family.all += child.all;
    family.well = family.well && child.well;
  }
  family.all.spawned += 1;  // the join
  (family.well ? family.all.completed : family.all.cancelled) += 1;
  if (family.well) family.all.sum += draw.join_mark();
  return family;
}

struct DrawnTask {
  SoakTask::Config config;
  std::uint32_t parts;
};

DrawnTask draw_task(Random& random, std::uint32_t fail_one_in, bool may_spawn) {
  DrawnTask task{{{random.next()}, 0, fail_one_in}, 1};
  if (random.one_in(16)) {
    task.parts = 2 + static_cast<std::uint32_t>(random.below(40));
  } else if (may_spawn && random.one_in(4)) {
    task.config.depth = 1 + static_cast<std::uint32_t>(random.below(4));
  }
  return task;
}

/// Adds what should come of a task whose dependencies all complete.
TaskStatus expect(const DrawnTask& task, TaskExpectation& expected) {
  const bool wide = task.parts > 1;
  Family family =
      family_of(task.config.draw, wide ? 0 : task.config.depth, task.config.fail_one_in, false);
  if (wide) family.all.sum *= task.parts;
  expected += family.all;
  (family.well ? expected.completed : expected.failed) += 1;
  return family.well ? TaskStatus::completed : TaskStatus::failed;
}

std::string describe(const TaskGraphSummary& s, const TaskExpectation& e) {
  const auto pair = [](const char* what, std::uint64_t seen, std::uint64_t wanted) {
    return std::string(" ") + what + " " + std::to_string(seen) + " of " + std::to_string(wanted);
  };
  return "a run of a graph ended as " + std::string(to_string(s.end)) + ":" +
         pair("spawned", s.spawned, e.spawned) + pair("completed", s.completed, e.completed) +
         pair("failed", s.failed, e.failed) + pair("cancelled", s.cancelled, e.cancelled) +
         " unfinished " + std::to_string(s.unfinished) + " refused " + std::to_string(s.refused);
}

std::string describe(const TaskLoad& load) {
  return "a graph of " + std::to_string(load.outcomes.size()) + " tasks, dispatch " +
         std::string(to_string(load.dispatch));
}

void check_run(const TaskGraphSummary& s, const TaskExpectation& e, Tally& tally) {
  tally.configs += e.tasks();
  tally.collected += s.completed + s.failed + s.cancelled;
  tally.failed_on_word += s.failed;
  if (s.end == TaskRunEnd::finished && s.spawned == e.spawned && s.completed == e.completed &&
      s.failed == e.failed && s.cancelled == e.cancelled && s.unfinished == 0) {
    return;
  }
  const std::uint64_t ended = s.completed + s.failed + s.cancelled;
  const auto kind = ended < e.tasks()   ? &Tally::lost
                    : ended > e.tasks() ? &Tally::doubled
                                        : &Tally::wrong;
  tally.blame(kind, describe(s, e));
}

void check_outcomes(const TaskLoad& load, const std::vector<TaskOutcome>& outcomes, Tally& tally) {
  for (TaskId id = 0; id < load.outcomes.size(); ++id) {
    if (outcomes[id].status == load.outcomes[id]) continue;
    tally.blame(&Tally::wrong, "task " + std::to_string(id) + " is " +
                                   std::string(to_string(outcomes[id].status)) + " instead of " +
                                   std::string(to_string(load.outcomes[id])));
  }
}

}  // namespace

TaskExpectation& TaskExpectation::operator+=(const TaskExpectation& more) {
  for (const auto part :
       {&TaskExpectation::spawned, &TaskExpectation::completed, &TaskExpectation::failed,
        &TaskExpectation::cancelled, &TaskExpectation::sum}) {
    this->*part += more.*part;
  }
  return *this;
}

TaskLoad draw_tasks(Random& random, std::uint32_t most) {
  TaskLoad load;
  // Without spawning, the schedule may be fixed.
  const bool may_spawn = !random.one_in(3);
  const TaskDispatch dispatches[] = {TaskDispatch::automatic, TaskDispatch::fixed};
  if (!may_spawn) load.dispatch = random.pick(dispatches);
  const auto tasks = 1 + static_cast<std::uint32_t>(random.below(most));
  const std::uint32_t rates[] = {0, 0, 2000, 100};
  const std::uint32_t fail_one_in = random.pick(rates);
  const std::uint32_t reaches[] = {1, 10, 300, most};
  const std::uint32_t reach = random.pick(reaches);
  std::vector<TaskId> before;
  for (TaskId id = 0; id < tasks && load.expected.tasks() < most; ++id) {
    const DrawnTask task = draw_task(random, fail_one_in, may_spawn);
    before.clear();
    bool runs = true;
    for (std::uint64_t i = id == 0 ? 0 : random.below(4); i > 0; --i) {
      before.push_back(id - 1 - static_cast<TaskId>(random.below(std::min(id, reach))));
      runs = runs && load.outcomes[before.back()] == TaskStatus::completed;
    }
    const TaskOptions options{task.parts, static_cast<std::uint8_t>(random.below(8))};
    if (may_spawn) {
      load.graph.add<SoakTask>("task", task.config, before, options);
    } else {
      load.graph.add<FlatTask>("task", task.config, before, options);
    }
    if (!runs) load.expected.cancelled += 1;
    load.outcomes.push_back(runs ? expect(task, load.expected) : TaskStatus::cancelled);
  }
  return load;
}

Tally run_tasks(const TaskLoad& load, std::uint32_t runs, SchedulerOptions options,
                const SchedulerMaker& make, Watch& watch) {
  options.dispatch = load.dispatch;
  Tally tally;
  tally.contexts = 1;
  Buffer<std::uint64_t> sum(
      memory_of(choose_executor(options.context.executor, options.context.device).kind), 1,
      options.context.device);
  watch.note(describe(load) + "\n");
  watch.cell(0).doing = "running graphs";
  auto scheduler = make(
      TaskSoakSteps(SoakTask{sum.data()}, JoinTask{sum.data()}, FlatTask{sum.data()}), options);
  auto graph = scheduler->prepare(load.graph);
  for (std::uint32_t run = 0; run < runs && tally.errors() == 0; ++run) {
    check_run(scheduler->run(graph, 20s).summary, load.expected, tally);
    watch.cell(0).collected += load.expected.tasks();
  }
  check_outcomes(load, graph.outcomes(), tally);
  if (tally.errors() == 0 && sum.download()[0] != runs * load.expected.sum) {
    tally.blame(&Tally::wrong, "the marks of the tasks do not add up");
  }
  tally.parks = scheduler->context().stats().parks;
  return tally;
}

PartResult soak_tasks(const Soak& soak, std::uint64_t goal, const SchedulerMaker& make) {
  Random random(mix(soak.settings.seed) + 5);
  PartResult part;
  part.name = "tasks";
  part.unit = "tasks";
  part.goal = goal;
  return run_part(soak, part, [&](std::uint64_t left) {
    const TaskLoad load = draw_tasks(random, most_tasks);
    SchedulerOptions options;
    options.context.executor = soak.settings.executor;
    options.context.device = soak.settings.device;
    const TaskOrder orders[] = {TaskOrder::critical_path, TaskOrder::fifo, TaskOrder::given};
    options.order = random.pick(orders);
    const std::chrono::nanoseconds park_after[] = {0us, 100us, 5ms};
    options.context.park_after = random.pick(park_after);
    options.most_tasks = most_tasks;
    options.spawn_slots = spawn_slots;
    const std::uint64_t share = std::min(left, std::max<std::uint64_t>(goal / 24, 1000));
    const std::uint64_t each = load.expected.tasks();
    const auto runs = static_cast<std::uint32_t>((share + each - 1) / each);
    const Tally tally = run_tasks(load, runs, options, make, soak.watch);
    return Piece{tally, describe(load), tally.configs};
  });
}

}  // namespace aatgs::soak
