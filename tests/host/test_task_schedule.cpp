// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/task_schedule.hpp>
#include <algorithm>
#include <random>
#include <set>
#include <vector>

namespace {

using namespace aatgs;

constexpr double type_ns[] = {1000, 20'000};

/// A random plan of both types, some of whose tasks are wide.
TaskPlan random_plan(unsigned seed, TaskId count) {
  std::mt19937 engine(seed);
  const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
  TaskPlan plan;
  for (TaskId id = 0; id < count; ++id) {
    const std::uint32_t parts = random() % 16 == 0 ? 2 + random() % 5 : 1;
    plan.add({.name = "t", .type = static_cast<std::uint8_t>(random() % 10 == 0), .parts = parts});
  }
  for (TaskId id = 1; id < count; ++id) {
    for (std::uint32_t i = random() % 4; i > 0; --i) {
      plan.add_dependency(id - 1 - random() % std::min(id, 50U), id);
    }
  }
  return plan;
}

std::vector<TaskSchedule::Turn> turns_of(const TaskSchedule& schedule, std::uint32_t worker) {
  return {schedule.turns.begin() + schedule.begins[worker],
          schedule.turns.begin() + schedule.begins[worker + 1]};
}

/// Whether workers that take their turns in their order all come to the end.
bool comes_to_the_end(const TaskPlan& plan, const TaskSchedule& schedule) {
  std::vector<std::uint32_t> waits(plan.size());
  std::vector<std::uint32_t> open(plan.size());
  for (TaskId id = 0; id < plan.size(); ++id) {
    open[id] = plan.task(id).parts;
    for (const TaskId after : plan.dependents(id)) ++waits[after];
  }
  std::vector<std::uint32_t> at(schedule.begins.begin(), schedule.begins.end() - 1);
  std::size_t taken = 0;
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (std::size_t worker = 0; worker < at.size(); ++worker) {
      while (at[worker] < schedule.begins[worker + 1] &&
             waits[schedule.turns[at[worker]].task] == 0) {
        const TaskId id = schedule.turns[at[worker]++].task;
        ++taken;
        goes_on = true;
        if (--open[id] != 0) continue;
        for (const TaskId after : plan.dependents(id)) --waits[after];
      }
    }
  }
  return taken == schedule.turns.size();
}

TEST_CASE("task schedule: a part has no turn, or two, or workers wait in a circle") {
  for (unsigned seed = 1; seed <= 3; ++seed) {
    const TaskPlan plan = random_plan(seed, 500);
    std::size_t parts = 0;
    for (TaskId id = 0; id < plan.size(); ++id) parts += plan.task(id).parts;
    for (const std::uint32_t workers : {1U, 3U, 40U, 2000U}) {
      for (const TaskOrder order : {TaskOrder::critical_path, TaskOrder::fifo, TaskOrder::given}) {
        for (const std::span<const double> times : {std::span<const double>(type_ns), {}}) {
          CAPTURE(workers);
          const TaskSchedule schedule = make_schedule(plan, order, times, workers);
          REQUIRE(schedule.begins.size() == workers + 1);
          CHECK(schedule.begins.front() == 0);
          CHECK(schedule.begins.back() == schedule.turns.size());
          CHECK(std::is_sorted(schedule.begins.begin(), schedule.begins.end()));
          std::set<std::pair<TaskId, std::uint32_t>> seen;
          for (const auto& [id, part] : schedule.turns) {
            CHECK(part < plan.task(id).parts);
            seen.emplace(id, part);
          }
          CHECK(seen.size() == parts);
          CHECK(schedule.turns.size() == parts);
          CHECK(comes_to_the_end(plan, schedule));
        }
      }
    }
  }
}

TEST_CASE("task schedule: a chain goes from worker to worker") {
  // Two of them, placed by turns: the other's worker is free just before a link would be known
  // there, but a little later than the link's own.
  TaskPlan plan;
  constexpr TaskId links = 60;
  for (TaskId id = 0; id < 2 * links; ++id) {
    plan.add({.name = "link", .type = static_cast<std::uint8_t>(id % 2)});
    if (id >= 2) plan.add_dependency(id - 2, id);
  }
  const double times[] = {1000, 1050};
  for (const std::uint32_t workers : {2U, 4U}) {
    const TaskSchedule schedule = make_schedule(plan, TaskOrder::fifo, times, workers);
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
      std::size_t counts[2] = {0, 0};
      for (const auto& turn : turns_of(schedule, worker)) ++counts[turn.task % 2];
      CHECK((counts[0] == 0 || counts[0] == links));
      CHECK((counts[1] == 0 || counts[1] == links));
    }
  }
}

TEST_CASE("task schedule: what is known of times is not used to balance work") {
  TaskPlan plan;
  const TaskId slow = plan.add({.name = "slow", .type = 1});
  for (int i = 0; i < 10; ++i) plan.add({.name = "short"});
  const TaskSchedule schedule = make_schedule(plan, TaskOrder::critical_path, type_ns, 2);
  const auto first = turns_of(schedule, 0);
  const bool has_slow =
      std::any_of(first.begin(), first.end(), [&](const auto& turn) { return turn.task == slow; });
  CHECK(turns_of(schedule, has_slow ? 0 : 1).size() == 1);
}

TEST_CASE("task schedule: tasks of unknown times fall to a few workers") {
  TaskPlan plan;
  const TaskId fork = plan.add({.name = "fork"});
  const TaskId join = plan.add({.name = "join"});
  for (int i = 0; i < 400; ++i) {
    const TaskId middle = plan.add({.name = "middle"});
    plan.add_dependency(fork, middle);
    plan.add_dependency(middle, join);
  }
  const TaskSchedule schedule = make_schedule(plan, TaskOrder::critical_path, {}, 4);
  for (std::uint32_t worker = 0; worker < 4; ++worker) {
    CHECK(turns_of(schedule, worker).size() >= 98);
    CHECK(turns_of(schedule, worker).size() <= 104);
  }
}

TEST_CASE("task schedule: the parts of a wide task fall to one worker") {
  TaskPlan plan;
  const TaskId first = plan.add({.name = "first"});
  const TaskId wide = plan.add({.name = "wide", .type = 1, .parts = 8});
  plan.add_dependency(first, wide);
  const TaskSchedule schedule = make_schedule(plan, TaskOrder::critical_path, type_ns, 8);
  for (std::uint32_t worker = 0; worker < 8; ++worker) {
    const auto turns = turns_of(schedule, worker);
    CHECK(std::count_if(turns.begin(), turns.end(),
                        [&](const auto& turn) { return turn.task == wide; }) == 1);
  }
}

}  // namespace
