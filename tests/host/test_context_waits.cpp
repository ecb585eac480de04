// SPDX-License-Identifier: Apache-2.0
// The context above an executor that does what no real one can be made to do when it is wanted.
#include <doctest/doctest.h>

#include <aatgs/host/gpu_execution_context.hpp>
#include <array>
#include <thread>

namespace aatgs {
namespace {

using namespace std::chrono_literals;

/// What the executor does, and what it was asked.
struct Script {
  QueueStatus answer = QueueStatus::queued;
  std::chrono::nanoseconds pause_after_push{0};  ///< the scheduler takes the thread away
  std::chrono::nanoseconds quiet_limit{0};
  bool is_broken = false;
  int wakes = 0;
  int checks = 0;
};

class ScriptedExecutor final : public Executor<int, int> {
 public:
  explicit ScriptedExecutor(Script& script) : script_(script) {}

  QueueStatus try_submit(const int&) override {
    std::this_thread::sleep_for(script_.pause_after_push);
    return script_.answer;
  }
  bool try_collect(Completion<int>&) override { return false; }
  void wake() override { ++script_.wakes; }
  [[nodiscard]] std::uint64_t quiet_limit_ns() const override {
    return static_cast<std::uint64_t>(script_.quiet_limit.count());
  }
  [[nodiscard]] std::uint64_t lost() const override { return 0; }
  [[nodiscard]] bool idle() const override { return false; }
  [[nodiscard]] RingCounters ring_counters(bool) override { return {}; }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return "scripted"; }
  void check() override {
    ++script_.checks;
    if (script_.is_broken) throw DeviceError("the GPU is gone", "cudaErrorLaunchFailure");
  }
  bool stop(StopMode, std::chrono::nanoseconds) override { return true; }

 private:
  Script& script_;
};

GpuExecutionContext<int, int> make(Script& script) {
  return {std::make_unique<ScriptedExecutor>(script), {ExecutorKind::resident, "scripted"}, {}};
}

TEST_CASE("context: a wait goes on although the GPU has failed") {
  Script script;
  auto ctx = make(script);
  REQUIRE(ctx.try_queue(1));
  script.is_broken = true;
  CHECK_THROWS_AS(static_cast<void>(ctx.flush(1h)), DeviceError);
  CHECK_THROWS_AS(static_cast<void>(ctx.wait(1h)), DeviceError);
  CHECK_THROWS_AS(ctx.execute_batch(std::array{1, 2}), DeviceError);
  script.answer = QueueStatus::config_full;
  CHECK_THROWS_AS(static_cast<void>(ctx.queue(1, 1h)), DeviceError);
}

TEST_CASE("context: a parked kernel is not woken after a pause") {
  Script script;
  script.quiet_limit = 5ms;
  auto ctx = make(script);
  REQUIRE(ctx.try_queue(1));
  const int before = script.wakes;
  std::this_thread::sleep_for(10ms);
  REQUIRE(ctx.try_queue(1));
  CHECK(script.wakes == before + 1);
}

// The kernel counts its quiet time from the push. Here it has been quiet for more than the 200 ms
// after which it parks (twice the quiet limit) when the second config comes, but the host returned
// from the first push only 60 ms before.
TEST_CASE("context: a kernel that parked while the host was stopped inside a push is not woken") {
  Script script;
  script.quiet_limit = 100ms;
  script.pause_after_push = 160ms;
  auto ctx = make(script);
  REQUIRE(ctx.try_queue(1));
  const int before = script.wakes;
  script.pause_after_push = 0ns;
  std::this_thread::sleep_for(60ms);
  REQUIRE(ctx.try_queue(1));
  CHECK(script.wakes == before + 1);
}

}  // namespace
}  // namespace aatgs
