// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/graph_runner.hpp>
#include <aatgs/host/task_plan.hpp>
#include <aatgs/host/task_trace.hpp>
#include <algorithm>

namespace aatgs {
namespace {

TaskPlan named(std::initializer_list<const char*> names) {
  TaskPlan plan;
  for (const char* name : names) plan.add({.name = name});
  return plan;
}

TEST_CASE("task plan: tasks that wait for each other in a circle are accepted, or not named") {
  TaskPlan plan = named({"start", "a", "b", "c", "end"});
  plan.add_dependency(0, 1);
  plan.add_dependency(1, 2);
  plan.add_dependency(2, 3);
  plan.add_dependency(3, 4);
  CHECK(plan.order().size() == 5);
  plan.add_dependency(3, 1);
  CHECK_THROWS_WITH_AS(plan.order(), doctest::Contains("'b' -> 'c' -> 'a' -> 'b'"), UseError);
}

TEST_CASE("task plan: a circle of very many tasks fills the screen") {
  TaskPlan plan;
  for (int i = 0; i < 1000; ++i) plan.add({.name = std::to_string(i)});
  for (TaskId i = 0; i < 1000; ++i) plan.add_dependency(i, (i + 1) % 1000);
  try {
    static_cast<void>(plan.order());
    FAIL("a circle was accepted");
  } catch (const UseError& error) {
    const std::string text = error.what();
    CHECK(text.size() < 300);
    CHECK(text.find("more)") != std::string::npos);
  }
}

TEST_CASE("task plan: a dependency on a task that is not there, or on itself, is kept") {
  TaskPlan plan = named({"only"});
  CHECK_THROWS_WITH_AS(plan.add_dependency(0, 1), doctest::Contains("names task 1"), UseError);
  CHECK_THROWS_WITH_AS(plan.add_dependency(7, 0), doctest::Contains("names task 7"), UseError);
  CHECK_THROWS_WITH_AS(plan.add_dependency(0, 0), doctest::Contains("'only'"), UseError);
}

TEST_CASE("task plan: parts and priorities that cannot be are taken, and wrap") {
  TaskPlan plan;
  CHECK_THROWS_WITH_AS(plan.add({.name = "none", .parts = 0}), doctest::Contains("'none'"),
                       UseError);
  CHECK_THROWS_WITH_AS(plan.add({.name = "many", .parts = most_task_parts + 1}),
                       doctest::Contains("'many'"), UseError);
  CHECK_THROWS_WITH_AS(plan.add({.name = "late", .priority = 8}), doctest::Contains("'late'"),
                       UseError);
  CHECK(plan.size() == 0);
}

TEST_CASE("task plan: the longest way is told by the number of tasks where times are known") {
  // Two short ones in a row against a long one.
  TaskPlan plan;
  const TaskId first = plan.add({.name = "first", .type = 0});
  const TaskId second = plan.add({.name = "second", .type = 0});
  const TaskId slow = plan.add({.name = "slow", .type = 1});
  plan.add_dependency(first, second);
  const auto by_number = plan.priorities(TaskOrder::critical_path, {});
  CHECK(by_number[first] == 0);
  CHECK(by_number[slow] > by_number[first]);
  const double type_ns[] = {1000, 50'000};
  const auto by_time = plan.priorities(TaskOrder::critical_path, type_ns);
  CHECK(by_time[slow] == 0);
  CHECK(by_time[first] > by_time[slow]);
  CHECK(by_time[second] >= by_time[first]);
  CHECK(*std::max_element(by_time.begin(), by_time.end()) < task_priorities);
}

TEST_CASE("task plan: workers look into queues of classes that no task has") {
  TaskPlan plan;  // a fork, many that are alike, and a join: two of the eight classes
  const TaskId fork = plan.add({.name = "fork"});
  const TaskId join = plan.add({.name = "join"});
  for (int i = 0; i < 100; ++i) {
    const TaskId middle = plan.add({.name = "middle"});
    plan.add_dependency(fork, middle);
    plan.add_dependency(middle, join);
  }
  const auto classes = plan.priorities(TaskOrder::critical_path, {});
  CHECK(classes[fork] == 0);
  CHECK(classes[join] == 1);
  CHECK(classes[2] <= classes[join]);
}

TEST_CASE("task plan: names break the picture") {
  TaskPlan plan = named({"say \"hi\"\\\n", "b"});
  plan.add_dependency(0, 1);
  std::vector<TaskOutcome> outcomes(2);
  outcomes[1].status = TaskStatus::failed;
  const std::string dot = plan.to_dot(outcomes);
  CHECK(dot.find("label=\"say \\\"hi\\\"\\\\ \"") != std::string::npos);
  CHECK(dot.find("t0 -> t1;") != std::string::npos);
  CHECK(dot.find("fillcolor=salmon") != std::string::npos);
}

TEST_CASE("task plan: a chain of cancelled tasks is not followed to the one that failed") {
  TaskPlan plan = named({"bad", "mid", "end", "other"});
  std::vector<TaskOutcome> outcomes(4);
  outcomes[0] = {.status = TaskStatus::failed, .code = 7};
  outcomes[1] = {.status = TaskStatus::cancelled, .cause = 0};
  outcomes[2] = {.status = TaskStatus::cancelled, .cause = 1};
  outcomes[3] = {.status = TaskStatus::completed};
  CHECK(explain(plan, outcomes, 2) ==
        "task 'end' was cancelled because task 'mid' was cancelled because task 'bad' failed with "
        "code 7");
  CHECK(explain(plan, outcomes, 3) == "task 'other' is completed");
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TaskOutcome ran(std::uint32_t worker, std::uint64_t started_ns, std::uint64_t finished_ns) {
  TaskOutcome outcome;
  outcome.status = TaskStatus::completed;
  outcome.worker = worker;
  outcome.started_ns = started_ns;
  outcome.finished_ns = finished_ns;
  return outcome;
}

TEST_CASE("task trace: spans of one track overlap, or a task is left out") {
  const TaskPlan plan = named({"a", "wide", "b \"\x01", "other", "never"});
  // The wide one ends when b is long at work.
  const std::vector<TaskOutcome> outcomes{ran(0, 1000, 2000), ran(0, 2000, 9000),
                                          ran(0, 3000, 4500), ran(1, 1500, 2500), TaskOutcome{}};
  const std::string trace = to_chrome_trace(plan, outcomes);
  CHECK(count(trace, "\"ph\":\"M\"") == 2);
  CHECK(count(trace, "\"ph\":\"X\"") == 3);
  CHECK(count(trace, "\"ph\":\"b\",\"name\":\"wide\"") == 1);
  CHECK(count(trace, "\"ph\":\"e\",\"name\":\"wide\"") == 1);
  CHECK(count(trace, "\"ts\":2.000,\"dur\":1.500") == 1);
  CHECK(count(trace, "b \\\"\\u0001") == 1);
  CHECK(count(trace, "never") == 0);
}

TEST_CASE("task trace: a graph that has not run gives no valid trace") {
  const std::string trace = to_chrome_trace(named({"a"}), std::vector<TaskOutcome>(1));
  CHECK(trace.find("\"traceEvents\":[\n\n]}") != std::string::npos);
}

}  // namespace
}  // namespace aatgs
