// SPDX-License-Identifier: Apache-2.0
// The context above an executor, and an executor above workers, that do what no real ones can be
// made to do when it is wanted.
#include <doctest/doctest.h>

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/ring_executor.hpp>
#include <array>

namespace aatgs {
namespace {

using namespace std::chrono_literals;

/// What the executor does, and what it was asked.
struct Script {
  QueueStatus answer = QueueStatus::queued;
  bool is_broken = false;
  int checks = 0;
  RingCounters counters{};
};

class ScriptedExecutor final : public Executor<int, int> {
 public:
  explicit ScriptedExecutor(Script& script) : script_(script) {}

  QueueStatus try_submit(const int&) override { return script_.answer; }
  bool try_collect(Completion<int>&) override { return false; }
  [[nodiscard]] std::uint64_t lost() const override { return 0; }
  [[nodiscard]] bool idle() const override { return false; }
  [[nodiscard]] RingCounters ring_counters(bool) override { return script_.counters; }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return "scripted"; }
  void request_abort() override {}
  void check() override {
    ++script_.checks;
    if (script_.is_broken) throw DeviceError("the GPU is gone", "cudaErrorLaunchFailure");
  }
  bool stop(StopMode, std::chrono::nanoseconds) override { return true; }

 private:
  Script& script_;
};

GpuExecutionContext<int, int> make(Script& script) {
  std::vector<std::unique_ptr<Executor<int, int>>> executors;
  executors.push_back(std::make_unique<ScriptedExecutor>(script));
  return {std::move(executors), {ExecutorKind::resident, "scripted"}, {}};
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

TEST_CASE("context: nobody looks into the rings while configs are queued many at once") {
  Script script;
  script.counters.config_occupied = 1;
  auto ctx = make(script);
  const std::array<int, 5> configs{};
  for (int i = 0; i < 4; ++i) REQUIRE(ctx.try_queue_many(configs).count == configs.size());
  const RingUtilization found = ctx.stats().config_ring;  // looked at when the 16th was queued
  CHECK(found.mean == 1.0 / found.slots);
}

/// Workers that run nothing and park when they are told to.
class ScriptedResidency final : public Residency {
 public:
  explicit ScriptedResidency(const ContextOptions& options)
      : Residency(
            std::make_unique<ResidentMemory>(MemoryKind::host, options, MessageSizes{1, 4}, 1)) {}

  void set(Presence presence) { memory().control().presence = pack_presence(0, presence); }
  void finish(std::uint64_t ticket) {
    const MessageBuffer<CompletionRecord<int>> record{};
    publish_completion(SingleLane{}, memory().ports()[0].port().telemetry, 0, ticket, record);
  }
  [[nodiscard]] int revivals() const { return revivals_; }

  void revive() override {
    ++revivals_;
    set(Presence::running);
  }
  [[nodiscard]] std::uint32_t workers() const override { return 1; }
  [[nodiscard]] std::uint32_t workers_of_port() const override { return 1; }
  [[nodiscard]] std::string description() const override { return "scripted"; }

 private:
  bool make_leave(Command, std::chrono::nanoseconds) override { return true; }

  int revivals_ = 0;
};

TEST_CASE("executor: a parked kernel is not woken by a config, or by a poll that waits for one") {
  const ContextOptions options;
  const auto residency = std::make_shared<ScriptedResidency>(options);
  RingExecutor<int, int> executor(residency, 0, options);
  Completion<int> done;
  residency->set(Presence::running);
  CHECK(executor.try_submit(1) == QueueStatus::queued);
  CHECK_FALSE(executor.try_collect(done));
  CHECK(residency->revivals() == 0);

  residency->set(Presence::parking);  // although a config is there: its store came late
  CHECK_FALSE(executor.try_collect(done));
  CHECK(residency->revivals() == 1);
  residency->finish(0);
  CHECK(executor.try_collect(done));

  residency->set(Presence::parking);
  CHECK_FALSE(executor.try_collect(done));  // nothing to do: it stays parked
  CHECK(residency->revivals() == 1);
  CHECK(executor.try_submit(2) == QueueStatus::queued);
  CHECK(residency->revivals() == 2);
}

TEST_CASE("executor: a stream of configs is not announced, or a closed loop taken for one") {
  const ContextOptions options;
  const auto residency = std::make_shared<ScriptedResidency>(options);
  RingExecutor<int, int> executor(residency, 0, options);
  const auto fed_end = [&] { return to_feed(*residency->memory().ports()[0].port().feed).end; };
  Completion<int> done;
  for (std::uint64_t ticket = 0; ticket < 3; ++ticket) {  // each after the telemetry before
    CHECK(executor.try_submit(1) == QueueStatus::queued);
    CHECK(fed_end() <= ticket + 1);
    residency->finish(ticket);
    CHECK(executor.try_collect(done));
  }
  for (std::uint64_t ticket = 3; ticket < 600; ++ticket) {  // each beside the one before
    CHECK(executor.try_submit(1) == QueueStatus::queued);
    if (ticket > 3) CHECK(fed_end() > ticket + 100);
    if (ticket == 3) continue;
    residency->finish(ticket - 1);
    CHECK(executor.try_collect(done));
  }
  residency->finish(599);
  CHECK(executor.try_collect(done));
  CHECK(executor.try_submit(1) == QueueStatus::queued);
  CHECK(fed_end() == 601);
}

TEST_CASE("executor: in a deep stream a config is looked for before it is there, or never") {
  const ContextOptions options;
  const auto residency = std::make_shared<ScriptedResidency>(options);
  RingExecutor<int, int> executor(residency, 0, options);
  const auto fed_end = [&] { return to_feed(*residency->memory().ports()[0].port().feed).end; };
  const std::vector<int> some(100, 1);
  QueueStatus refused{};
  Completion<int> done;
  std::uint64_t queued = executor.try_submit_many(some, refused);
  CHECK(fed_end() == queued);
  for (; queued < 300; ++queued) {
    CHECK(executor.try_submit(1) == QueueStatus::queued);
    CHECK(fed_end() == queued + 1);
  }
  for (std::uint64_t ticket = 0; ticket < 290; ++ticket) {
    residency->finish(ticket);
    CHECK(executor.try_collect(done));
  }
  CHECK(executor.try_submit(1) == QueueStatus::queued);  // with ten on their way
  CHECK(fed_end() > queued + 100);
  for (std::uint64_t ticket = 290; ticket <= queued; ++ticket) {
    residency->finish(ticket);
    CHECK(executor.try_collect(done));
  }
  CHECK(executor.try_submit(1) == QueueStatus::queued);
  CHECK(fed_end() == queued + 2);
}

TEST_CASE("executor: another port ended it, and a wait goes on for ever") {
  const ContextOptions options;
  const auto residency = std::make_shared<ScriptedResidency>(options);
  RingExecutor<int, int> executor(residency, 0, options);
  CHECK(executor.try_submit(1) == QueueStatus::queued);
  CHECK_NOTHROW(executor.check());
  residency->stop(Command::abort, 0ns);
  CHECK(executor.try_submit(2) == QueueStatus::closed);
  CHECK_THROWS_AS(executor.check(), UseError);
}

}  // namespace
}  // namespace aatgs
