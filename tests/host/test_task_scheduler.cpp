// SPDX-License-Identifier: Apache-2.0
#include <aatgs/device/any_step.hpp>
#include <aatgs/host/make_cpu_scheduler.hpp>

namespace aatgs::test {
namespace {

inline ExecutorKind test_executor() {
  return ExecutorKind::cpu;
}

template <class S>
auto make_test_scheduler(const S& steps, SchedulerOptions options) {
  options.context.executor = ExecutorKind::cpu;
  if (options.context.cpu_threads == 0) options.context.cpu_threads = 4;
  return make_cpu_scheduler(steps, options);
}

}  // namespace
}  // namespace aatgs::test

#include "task_suite.hpp"

namespace aatgs::test {
namespace {

struct TwiceStep {
  struct Config {
    std::uint32_t value;
  };
  struct Result {
    std::uint32_t value;
  };
  template <class Group>
  void operator()(Group& group, const Config& config, Result& out) const {
    if (group.rank() == 0) out.value = 2 * config.value;
  }
};

struct HalfStep {
  struct Config {
    double value[20];
  };
  struct Result {
    double value;
  };
  template <class Group>
  void operator()(Group& group, const Config& config, Result& out) const {
    if (group.rank() == 0) out.value = config.value[19] / 2;
  }
};

struct RefuseStep {
  struct Config {
    std::uint32_t code;
  };
  template <class Group>
  void operator()(Group& group, const Config& config) const {
    group.fail(config.code);
  }
};

struct QuietStep : TwiceStep {
  static constexpr bool grid_sync = false;
  static constexpr bool writes_memory = false;
};

TEST_CASE("any step: what all its steps spare is paid for, or what one needs is missing") {
  using Quiet = AnyStep<Steps<QuietStep>>;
  CHECK_FALSE(step_grid_sync<Quiet>());
  CHECK_FALSE(step_writes_memory<Quiet>());
  using Mixed = AnyStep<Steps<QuietStep, HalfStep>>;
  CHECK(step_grid_sync<Mixed>());
  CHECK(step_writes_memory<Mixed>());
}

TEST_CASE("any step: a config goes to the wrong step, or a result is taken for another's") {
  using S = Steps<TwiceStep, HalfStep, RefuseStep>;
  for (const Scope scope : {Scope::block, Scope::grid}) {
    auto context = make_cpu_context<AnyConfig<S>, AnyResult<S>>(
        AnyStep<S>{S(TwiceStep{}, HalfStep{}, RefuseStep{})}, {.scope = scope, .cpu_threads = 2});
    HalfStep::Config half{};
    for (std::uint32_t i = 0; i < 300; ++i) {
      half.value[19] = i;
      auto config = AnyConfig<S>::of<TwiceStep>({i});
      if (i % 3 == 1) config = AnyConfig<S>::of<HalfStep>(half);
      if (i % 3 == 2) config = AnyConfig<S>::of<RefuseStep>({i});
      const auto done = context.execute_batch({&config, 1}).front();
      const AnyResult<S>& result = done.telemetry;
      CHECK(done.ok() == (i % 3 != 2));
      CHECK(done.code == (i % 3 == 2 ? i : 0));
      REQUIRE((result.get<TwiceStep>() != nullptr) == (i % 3 == 0));
      REQUIRE((result.get<HalfStep>() != nullptr) == (i % 3 == 1));
      if (i % 3 == 0) CHECK(result.get<TwiceStep>()->value == 2 * i);
      if (i % 3 == 1) CHECK(result.get<HalfStep>()->value == i * 0.5);
    }
  }
}

}  // namespace
}  // namespace aatgs::test
