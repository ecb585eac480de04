// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_scheduler.cuh>
#include <cstdlib>

namespace aatgs::test {
namespace {

inline ExecutorKind test_executor() {
  return ExecutorKind::resident;
}

template <class S>
auto make_test_scheduler(const S& steps, SchedulerOptions options) {
  options.context.executor = ExecutorKind::resident;
  options.context.step_deadline = std::chrono::seconds(5);
  // For compute-sanitizer, which takes memory made after a kernel's launch for foreign to it.
  options.context.bounded = std::getenv("AATGS_TEST_BOUNDED") != nullptr;
  return make_scheduler(steps, options);
}

}  // namespace
}  // namespace aatgs::test

#include "../host/task_suite.hpp"
