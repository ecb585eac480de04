// SPDX-License-Identifier: Apache-2.0
// Puts faults into schedulers, which the soak of tasks must find.
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_scheduler.hpp>
#include <cstdlib>

#include "tasks.hpp"

namespace aatgs::soak {
namespace {

using namespace std::chrono_literals;

Tally run(const SchedulerMaker& make) {
  Watch watch(1min, [](const std::string& where) {
    MESSAGE(where);
    std::_Exit(3);
  });
  Tally all;
  Random random(9);
  for (int i = 0; i < 6; ++i) {
    SchedulerOptions options;
    options.context.executor = ExecutorKind::cpu;
    options.context.cpu_threads = 3;
    options.most_tasks = 4096;
    options.spawn_slots = 8192;
    all += run_tasks(draw_tasks(random, 3000), 3, options, make, watch);
  }
  return all;
}

TEST_CASE("task soak: errors are found where there are none") {
  const Tally tally = run([](const TaskSoakSteps& steps, const SchedulerOptions& options) {
    return make_cpu_scheduler(steps, options);
  });
  INFO(tally.first);
  CHECK(tally.errors() == 0);
  CHECK(tally.collected == tally.configs);
  CHECK(tally.failed_on_word > 0);
}

TEST_CASE("task soak: tasks that do not run, or whose spawn is refused, go unseen") {
  const Tally refused = run([](const TaskSoakSteps& steps, SchedulerOptions options) {
    options.spawn_slots = 1;
    return make_cpu_scheduler(steps, options);
  });
  CHECK(refused.errors() > 0);
  CHECK(refused.first.find("refused") != std::string::npos);

  std::uint64_t elsewhere = 0;
  const Tally unmarked = run([&](const TaskSoakSteps& steps, const SchedulerOptions& options) {
    std::uint64_t* sum = nullptr;
    steps.visit(0, [&](const auto& step) { sum = step.sum; });
    return make_cpu_scheduler(TaskSoakSteps(SoakTask{sum}, JoinTask{&elsewhere}, FlatTask{sum}),
                              options);
  });
  CHECK(unmarked.wrong > 0);
  CHECK(unmarked.first == "the marks of the tasks do not add up");
}

}  // namespace
}  // namespace aatgs::soak
