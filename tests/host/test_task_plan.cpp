// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/graph_runner.hpp>
#include <aatgs/host/task_plan.hpp>
#include <aatgs/host/task_trace.hpp>
#include <algorithm>
#include <random>
#include <set>

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

TEST_CASE("task plan: a task that is not there is read, or what is thrown is not of the library") {
  const TaskPlan plan = named({"only"});
  const std::vector<TaskOutcome> outcomes(1);
  const char* const names = "names task 1, but the graph has only 1";
  CHECK_THROWS_WITH_AS(static_cast<void>(plan.task(1)), doctest::Contains(names), UseError);
  CHECK_THROWS_WITH_AS(static_cast<void>(plan.dependents(1)), doctest::Contains(names), UseError);
  CHECK_THROWS_WITH_AS(static_cast<void>(explain(plan, outcomes, 1)), doctest::Contains(names),
                       UseError);
  CHECK_THROWS_WITH_AS(static_cast<void>(explain(plan, {}, 0)), doctest::Contains("0 outcomes"),
                       UseError);
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

/// Most parts of tasks none of which depends on another, by trying all sets of them.
std::uint64_t most_parts_apart(const TaskPlan& plan) {
  std::vector<std::uint32_t> behind(plan.size(), 0);  // a bit for each task that depends on it
  const std::vector<TaskId> order = plan.order();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    for (const TaskId next : plan.dependents(*id)) behind[*id] |= behind[next] | 1U << next;
  }
  std::uint64_t most = 0;
  for (std::uint32_t set = 0; set < 1U << plan.size(); ++set) {
    std::uint64_t parts = 0;
    bool are_apart = true;
    for (TaskId id = 0; id < plan.size(); ++id) {
      if ((set >> id & 1) == 0) continue;
      parts += plan.task(id).parts;
      are_apart = are_apart && (behind[id] & set) == 0;
    }
    if (are_apart) most = std::max(most, parts);
  }
  return most;
}

TEST_CASE("task plan: more parts can be ready at once than it says, or it counts them all") {
  std::mt19937 random(2);
  for (int trial = 0; trial < 300; ++trial) {
    TaskPlan plan;
    std::uint64_t all = 0;
    for (TaskId id = 0; id < 10; ++id) {
      const auto parts = static_cast<std::uint32_t>(random() % 2 == 0 ? 1 : 1 + random() % 9);
      all += parts;
      plan.add({.name = "task", .parts = parts});
      for (TaskId before = 0; before < id; ++before) {
        if (random() % 8 < static_cast<unsigned>(trial % 8)) plan.add_dependency(before, id);
      }
    }
    CHECK(plan.most_ready_parts() >= most_parts_apart(plan));
    CHECK(plan.most_ready_parts() <= all);
  }
  // Layers of three, each task behind all of the layer before, or behind a join of it.
  for (const bool joined : {false, true}) {
    TaskPlan plan;
    std::vector<TaskId> last;
    for (std::uint32_t layer = 0; layer < 20; ++layer) {
      std::vector<TaskId> tasks;
      for (int i = 0; i < 3; ++i) {
        tasks.push_back(plan.add({.name = "wide", .parts = 100}));
        for (const TaskId before : last) plan.add_dependency(before, tasks.back());
      }
      last = tasks;
      if (!joined) continue;
      last = {plan.add({.name = "join"})};
      for (const TaskId before : tasks) plan.add_dependency(before, last[0]);
    }
    CHECK(plan.most_ready_parts() == 300);
  }
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

/// Whether each task has one turn, behind all it depends on; and of those that are ready it is one
/// of least `late`, which `came(task, n)` may set for the nth to become ready.
template <class Came>
bool are_turns(const TaskPlan& plan, const std::vector<TaskId>& turns, std::vector<double>& late,
               const Came& came) {
  std::vector<std::uint32_t> waits(plan.size());
  for (TaskId id = 0; id < plan.size(); ++id) {
    for (const TaskId after : plan.dependents(id)) ++waits[after];
  }
  std::set<TaskId> ready;
  std::uint32_t n = 0;
  const auto add = [&](TaskId id) {
    came(id, n++);
    ready.insert(id);
  };
  for (TaskId id = 0; id < plan.size(); ++id) {
    if (waits[id] == 0) add(id);
  }
  for (const TaskId id : turns) {
    if (ready.erase(id) == 0) return false;
    for (const TaskId other : ready) {
      if (late[other] < late[id]) return false;
    }
    for (const TaskId after : plan.dependents(id)) {
      if (--waits[after] == 0) add(after);
    }
  }
  return turns.size() == plan.size();
}

TEST_CASE("task plan: a turn comes before one it depends on, or not by the order asked for") {
  constexpr TaskId count = 400;
  std::mt19937 random(5);
  for (int graph = 0; graph < 5; ++graph) {
    CAPTURE(graph);
    TaskPlan plan;
    std::vector<double> priorities(count);
    for (TaskId id = 0; id < count; ++id) {
      const auto priority = static_cast<std::uint8_t>(random() % task_priorities);
      priorities[id] = priority;
      plan.add({.name = "t", .type = static_cast<std::uint8_t>(id % 2), .priority = priority});
    }
    std::vector<TaskId> order(count);  // ids say nothing about it
    for (TaskId id = 0; id < count; ++id) order[id] = id;
    std::shuffle(order.begin(), order.end(), random);
    for (std::uint32_t i = 0; i < 3 * count / 2; ++i) {
      const auto after = static_cast<TaskId>(1 + random() % (count - 1));
      plan.add_dependency(order[random() % after], order[after]);
    }
    const double type_ns[] = {10, 35};
    std::vector<double> chains(count);  // less the longest one from there on
    for (TaskId i = count; i-- > 0;) {
      for (const TaskId after : plan.dependents(order[i]))
        chains[order[i]] = std::min(chains[order[i]], chains[after]);
      chains[order[i]] -= type_ns[order[i] % 2];
    }
    const auto set_before = [](TaskId, std::uint32_t) {};
    CHECK(are_turns(plan, plan.turns(TaskOrder::given, type_ns), priorities, set_before));
    CHECK(are_turns(plan, plan.turns(TaskOrder::critical_path, type_ns), chains, set_before));
    std::vector<double> arrivals(count);
    CHECK(are_turns(plan, plan.turns(TaskOrder::fifo, type_ns), arrivals,
                    [&](TaskId id, std::uint32_t n) { arrivals[id] = n; }));
  }
}

TEST_CASE("task dispatch: what was asked for is not kept to") {
  for (const TaskDispatch wanted : {TaskDispatch::fixed, TaskDispatch::dynamic}) {
    DispatchChoice choice(wanted);
    for (int run = 0; run < 4 * DispatchChoice::trials; ++run) {
      CHECK(choice.next() == wanted);
      choice.note(wanted, 100);
      if (run % 5 == 0) choice.start_again();
    }
  }
  CHECK(DispatchChoice().next() == TaskDispatch::dynamic);
}

/// Runs until both ways have been tried; how often in turn, or -1.
int trials_of(DispatchChoice& choice, std::vector<double> fixed_us,
              std::vector<double> dynamic_us) {
  TaskDispatch last = TaskDispatch::dynamic;
  int runs = 0;
  for (; runs < 2 * DispatchChoice::trials; ++runs) {
    const TaskDispatch next = choice.next();
    if (next == last) return -1;
    const auto& times = next == TaskDispatch::fixed ? fixed_us : dynamic_us;
    choice.note(next, times.at(static_cast<std::size_t>(runs / 2)));
    last = next;
  }
  return runs;
}

TEST_CASE("task dispatch: the slower way is chosen, by one slow run or for ever") {
  constexpr int runs = 2 * DispatchChoice::trials;
  static_assert(DispatchChoice::trials == 3);
  DispatchChoice choice(TaskDispatch::automatic);
  // Its best run counts; neither the first nor the last, nor the mean.
  CHECK(trials_of(choice, {900, 10, 800}, {20, 21, 22}) == runs);
  for (int run = 0; run < 5; ++run) {
    CHECK(choice.next() == TaskDispatch::fixed);
    choice.note(TaskDispatch::fixed, 1000);  // does not count any more
  }
  choice.note(TaskDispatch::dynamic, 1);
  CHECK(choice.next() == TaskDispatch::fixed);
  choice.start_again();
  CHECK(trials_of(choice, {20, 21, 22}, {900, 10, 800}) == runs);
  CHECK(choice.next() == TaskDispatch::dynamic);
  choice.start_again();  // in the midst of trials as well
  choice.note(choice.next(), 5);
  choice.start_again();
  CHECK(trials_of(choice, {7, 8, 9}, {6, 8, 9}) == runs);
  CHECK(choice.next() == TaskDispatch::dynamic);
}

TEST_CASE("task dispatch: runs that are noted late keep one way from being tried") {
  DispatchChoice choice(TaskDispatch::automatic);  // a run that failed is not noted
  CHECK(choice.next() == TaskDispatch::fixed);
  CHECK(choice.next() == TaskDispatch::fixed);
  for (int run = 0; run < 2 * DispatchChoice::trials; ++run) {
    choice.note(TaskDispatch::fixed, 10);
  }
  for (int run = 0; run < DispatchChoice::trials; ++run) {
    CHECK(choice.next() == TaskDispatch::dynamic);
    choice.note(TaskDispatch::dynamic, 5);
  }
  CHECK(choice.next() == TaskDispatch::dynamic);
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
