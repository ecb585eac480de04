// SPDX-License-Identifier: Apache-2.0
// A context whose workers do what goes wrong on a GPU: they stall, answer late, park with a config
// before them, never start, or die.
#include <aatgs/host/preflight.hpp>
#include <array>
#include <thread>

#include "puppet.hpp"

namespace aatgs::test {
namespace {

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
