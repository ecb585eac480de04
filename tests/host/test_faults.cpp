// SPDX-License-Identifier: Apache-2.0
// A context whose workers do what goes wrong on a GPU: they stall, answer late, park with a config
// before them, never start, or die.
#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/preflight.hpp>
#include <aatgs/host/ring_executor.hpp>
#include <array>
#include <functional>
#include <thread>

#include "context_test_support.hpp"

namespace aatgs::test {
namespace {

/// Workers that do only what the test has them do, in its thread.
class Puppet final : public Residency {
 public:
  explicit Puppet(const ContextOptions& options)
      : Residency(std::make_unique<ResidentMemory>(
            MemoryKind::host, options,
            MessageSizes{MessageBuffer<int>::granules,
                         MessageBuffer<CompletionRecord<int>>::granules},
            workers)),
        port_(memory().ports()[0].port()),
        next_(options.first_ticket) {
    say(Presence::running);
  }

  /// Takes the next config, if it is there.
  bool take() {
    if (!take_config(SingleLane{}, port_.config, next_, config_.words())) return false;
    mark_taken(port_.config, next_++);
    return true;
  }
  void publish(std::uint64_t ticket) {
    MessageBuffer<CompletionRecord<int>> record;
    record.value() = {};
    record.value().telemetry = static_cast<int>(ticket) + 100;
    publish_completion(SingleLane{}, port_.telemetry, 0, ticket, record.words());
  }
  void work() {
    while (take()) publish(next_ - 1);
  }
  [[nodiscard]] bool sees_config() const { return config_in_sight(port_.config, next_); }
  void say(Presence presence) {
    store_shared(&memory().control().presence, pack_presence(0, presence));
  }

  /// What a check finds wrong, and what the workers do when told to leave, saying whether they do.
  std::function<void()> fault = [] {};
  std::function<bool()> on_leave = [] { return true; };
  bool check_revives = true;  ///< as the check of a resident kernel does

  /// Calls from elsewhere than a check.

  [[nodiscard]] int revivals() const { return revivals_; }
  [[nodiscard]] std::chrono::nanoseconds leave_deadline() const { return leave_deadline_; }
  [[nodiscard]] Command command() const { return command_; }

  void revive() override {
    ++revivals_;
    come_back();
  }
  void check() override {
    if (check_revives) come_back();
    fault();
  }
  [[nodiscard]] std::uint32_t workers_of_port() const override { return workers; }
  [[nodiscard]] std::string description() const override { return "puppet"; }

 private:
  static constexpr std::uint32_t workers = 4;

  void come_back() {
    if (presence_of(load_shared(&memory().control().presence)) != Presence::parking) return;
    say(Presence::running);
    work();
  }

  bool make_leave(Command command, std::chrono::nanoseconds deadline) override {
    command_ = command;
    leave_deadline_ = deadline;
    return on_leave();
  }

  Port port_;
  std::uint64_t next_;
  MessageBuffer<int> config_;
  int revivals_ = 0;
  Command command_ = Command::run;
  std::chrono::nanoseconds leave_deadline_{0};
};

using PuppetContext = GpuExecutionContext<int, int>;

/// 4 configs find room before any is taken.
ContextOptions small_rings() {
  ContextOptions options;
  options.config_slots = 4;
  options.telemetry_slots = 8;
  options.queue_deadline = 20ms;
  options.first_ticket = (std::uint64_t{1} << 32) * 4 - 2;  // laps wrap, tickets pass 2^34
  return options;
}

PuppetContext make(const std::shared_ptr<Puppet>& puppet, const ContextOptions& options) {
  return {
      make_ring_executors<int, int>(puppet, options), {ExecutorKind::resident, "puppet"}, options};
}

/// Checks the account after `submitted` configs.
void check_account(const PuppetContext& ctx, std::uint64_t submitted, std::uint64_t completed,
                   std::uint64_t dropped) {
  const ExecutionStatistics s = ctx.stats();
  CHECK(s.submitted == submitted);
  CHECK(s.completed == completed);
  CHECK(s.failed == 0);
  CHECK(s.dropped == dropped);
  CHECK(s.in_flight == submitted - completed - dropped);
}

TEST_CASE("faults: a stalled consumer holds the host beyond its deadlines, or configs vanish") {
  const Watchdog watchdog("stalled consumer");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  puppet->on_leave = [] { return false; };  // deaf to orders too
  PuppetContext ctx = make(puppet, options);
  for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
  CHECK(ctx.try_queue(4).status == QueueStatus::config_full);
  CHECK(ctx.queue(4).status == QueueStatus::config_full);
  CHECK(ctx.queue(4, 5ms).status == QueueStatus::config_full);
  CHECK_THROWS_AS(ctx.execute(4), TimeoutError);
  CHECK_FALSE(ctx.flush(5ms));
  CHECK_FALSE(ctx.wait(5ms));
  CHECK_FALSE(ctx.is_gpu_idle());
  CHECK(ctx.stats().config_overflows == 4);
  check_account(ctx, 4, 0, 0);

  SUBCASE("abort") {
    CHECK_FALSE(ctx.shutdown(StopMode::abort, 50ms));
  }
  SUBCASE("drain") {  // has to become an abort
    CHECK_FALSE(ctx.shutdown(StopMode::drain, 50ms));
  }
  CHECK(puppet->command() == Command::abort);
  CHECK(puppet->leave_deadline() <= 50ms + 100ms);
  check_account(ctx, 4, 0, 4);
  CHECK(ctx.try_queue(4).status == QueueStatus::closed);
}

TEST_CASE("faults: a consumer that stalls half-way, and later configs pass the earlier ones") {
  const Watchdog watchdog("stalled half-way");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  const std::uint64_t first = options.first_ticket;
  std::uint64_t queued = 0;
  for (std::uint64_t taken = 0; taken < 40; ++taken) {  // many laps, always full
    while (ctx.try_queue(static_cast<int>(queued))) ++queued;
    REQUIRE(puppet->take());
    puppet->publish(first + taken);
    const auto done = ctx.poll();
    REQUIRE(done);
    CHECK(done->ticket == first + taken);
  }
  check_account(ctx, queued, 40, 0);
  CHECK(ctx.shutdown(StopMode::abort, 50ms));
  check_account(ctx, queued, 40, queued - 40);
}

TEST_CASE("faults: delayed telemetry is lost, given twice, or under a wrong ticket") {
  const Watchdog watchdog("delayed telemetry");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  const std::uint64_t first = options.first_ticket;
  for (int i = 0; i < 3; ++i) REQUIRE(ctx.queue(i));
  while (puppet->take()) {
  }
  CHECK_FALSE(ctx.flush(5ms));
  for (const std::uint64_t late : {2U, 0U, 1U}) {
    CHECK_FALSE(ctx.poll());
    puppet->publish(first + late);
    const auto done = ctx.wait(10s);
    REQUIRE(done);
    CHECK(done->ticket == first + late);
    CHECK(done->telemetry == static_cast<int>(first + late) + 100);
  }
  CHECK_FALSE(ctx.poll());
  CHECK(ctx.flush(10s));
  check_account(ctx, 3, 3, 0);
}

TEST_CASE("faults: telemetry that comes during an abort, or after it, is counted wrongly") {
  const Watchdog watchdog("telemetry after an abort");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  const std::uint64_t first = options.first_ticket;
  for (int i = 0; i < 3; ++i) REQUIRE(ctx.queue(i));
  while (puppet->take()) {
  }
  puppet->on_leave = [&] {
    puppet->publish(first + 1);
    return true;
  };
  CHECK(ctx.shutdown(StopMode::abort, 50ms));
  check_account(ctx, 3, 1, 2);
  puppet->publish(first);
  check_account(ctx, 3, 1, 2);
  const auto done = ctx.poll();
  REQUIRE(done);
  CHECK(done->ticket == first + 1);
  CHECK_FALSE(ctx.poll());
}

TEST_CASE("faults: a wake-up is dropped, and a host that waits does not bring the kernel back") {
  const Watchdog watchdog("dropped wake-up");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  SUBCASE("flush") {
    puppet->check_revives = false;
    REQUIRE(ctx.queue(0));
    puppet->say(Presence::parking);
    CHECK(ctx.flush(10s));
    check_account(ctx, 1, 1, 0);
  }
  SUBCASE("wait") {
    puppet->check_revives = false;
    REQUIRE(ctx.queue(0));
    puppet->say(Presence::parking);
    CHECK(ctx.wait(10s));
  }
  SUBCASE("queue, with a full ring") {
    for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
    puppet->say(Presence::parking);
    CHECK(ctx.queue(4, 10s));
  }
  SUBCASE("execute, with a full ring") {
    puppet->check_revives = false;
    for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
    puppet->say(Presence::parking);
    CHECK(ctx.execute(4));
  }
  SUBCASE("execute_batch") {
    puppet->check_revives = false;
    const std::jthread forgetful([&] {
      if (eventually([&] { return puppet->sees_config(); })) puppet->say(Presence::parking);
    });
    CHECK(ctx.execute_batch(std::array{0, 1, 2}).size() == 3);
  }
}

TEST_CASE("faults: a kernel that never starts is launched again, or waited for without a word") {
  const Watchdog watchdog("kernel that never starts");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  puppet->say(Presence::starting);
  PuppetContext ctx = make(puppet, options);
  for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
  CHECK(ctx.queue(4).status == QueueStatus::config_full);
  CHECK_FALSE(ctx.flush(5ms));
  CHECK(puppet->revivals() == 0);

  ResidentPlan plan;
  plan.blocks = 1056;
  puppet->fault = [&] { throw TimeoutError(describe_late_start(plan, 3s, {})); };
  try {
    static_cast<void>(ctx.flush(1h));
    FAIL("nothing was thrown");
  } catch (const TimeoutError& e) {
    CHECK(std::string(e.what()).find("has not started") != std::string::npos);
    CHECK(std::string(e.what()).find("1056 blocks") != std::string::npos);
  }
  CHECK(ctx.shutdown(StopMode::abort, 50ms));
  check_account(ctx, 4, 0, 4);
}

TEST_CASE("faults: the GPU fails, and a wait goes on, telemetry is forgotten, or nothing ends") {
  const Watchdog watchdog("GPU that fails");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  {
    PuppetContext ctx = make(puppet, options);
    for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
    REQUIRE(puppet->take());
    REQUIRE(puppet->take());
    puppet->publish(options.first_ticket);
    puppet->fault = [] { throw DeviceError("the GPU is gone", "cudaErrorIllegalAddress"); };
    CHECK_THROWS_AS(static_cast<void>(ctx.flush(1h)), DeviceError);
    CHECK_THROWS_AS(ctx.execute_batch(std::array{1, 2, 3, 4, 5}), DeviceError);
    const ExecutionStatistics s = ctx.stats();
    const std::uint64_t submitted = s.submitted;
    CHECK(s.completed == 1);
    CHECK(s.completed + s.failed + s.dropped + s.in_flight == submitted);
    const auto done = ctx.poll();  // what was published before is kept
    REQUIRE(done);
    CHECK(done->ticket == options.first_ticket);
    CHECK(ctx.shutdown(StopMode::abort, 50ms));
    check_account(ctx, submitted, 1, submitted - 1);
  }
  const auto unwind = [&] {
    PuppetContext ctx = make(std::make_shared<Puppet>(options), options);
    REQUIRE(ctx.queue(0));
    throw DeviceError("the GPU is gone", "cudaErrorIllegalAddress");
  };
  CHECK_THROWS_AS(unwind(), DeviceError);
}

}  // namespace
}  // namespace aatgs::test
