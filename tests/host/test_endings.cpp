// SPDX-License-Identifier: Apache-2.0
// The ends of a context: by its owner, by another thread, by a failure of the GPU, by an exception.
// Over puppets where a GPU has to fail, and over real CPU threads.
#include <aatgs/host/make_cpu_context.hpp>
#include <array>
#include <barrier>
#include <functional>
#include <future>

#include "endings_suite.hpp"
#include "puppet.hpp"

namespace aatgs::test {
namespace {

const char* const gone = "the GPU is gone";

void fail_from_now_on(Puppet& puppet) {
  puppet.fault = [] { throw DeviceError(gone, "cudaErrorIllegalAddress"); };
}

struct Call {
  std::string name;
  std::function<void(PuppetContext&)> make;
};

/// Every call that works with the GPU.
std::vector<Call> all_calls() {
  return {
      {"try_queue", [](PuppetContext& c) { static_cast<void>(c.try_queue(1)); }},
      {"queue", [](PuppetContext& c) { static_cast<void>(c.queue(1)); }},
      {"queue, deadline", [](PuppetContext& c) { static_cast<void>(c.queue(1, 1h)); }},
      {"try_queue_many",
       [](PuppetContext& c) {
         static_cast<void>(c.try_queue_many(std::array{1, 2}));
       }},
      {"poll", [](PuppetContext& c) { static_cast<void>(c.poll()); }},
      {"poll_many",
       [](PuppetContext& c) {
         std::array<Completion<int>, 2> out;
         static_cast<void>(c.poll_many(out));
       }},
      {"wait", [](PuppetContext& c) { static_cast<void>(c.wait(1h)); }},
      {"execute", [](PuppetContext& c) { c.execute(1); }},
      {"execute_batch",
       [](PuppetContext& c) {
         c.execute_batch(std::array{1, 2, 3});
       }},
      {"execute_batch, empty", [](PuppetContext& c) { c.execute_batch({}); }},
      {"flush", [](PuppetContext& c) { static_cast<void>(c.flush(1h)); }},
      {"park", [](PuppetContext& c) { static_cast<void>(c.park(1h)); }},
  };
}

/// What `call` throws; empty: nothing.
std::string failure_of(const Call& call, PuppetContext& ctx) {
  try {
    call.make(ctx);
  } catch (const DeviceError& error) {
    CHECK(error.code_name() == "cudaErrorIllegalAddress");
    return error.what();
  }
  return {};
}

/// 4 configs queued; of the first two taken the first is done.
void queue_four(PuppetContext& ctx, Puppet& puppet, std::uint64_t first) {
  for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
  REQUIRE(puppet.take());
  REQUIRE(puppet.take());
  puppet.publish(first);
}

TEST_CASE("endings: a failed GPU is not named, or later calls go on, or nothing adds up") {
  const Watchdog watchdog("GPU that fails");
  const ContextOptions options = small_rings();
  const std::uint64_t first = options.first_ticket;
  const Call waits[] = {
      {"flush", [](PuppetContext& c) { static_cast<void>(c.flush(1h)); }},
      {"wait",
       [](PuppetContext& c) {
         while (c.wait(1h)) {
         }
       }},
      {"execute_batch", [](PuppetContext& c) { c.execute_batch(std::vector<int>(20)); }},
      {"queue",
       [](PuppetContext& c) {
         while (c.queue(1, 1h)) {
         }
       }},
      {"execute",
       [](PuppetContext& c) {
         for (;;) c.execute(1);
       }},
      {"park", [](PuppetContext& c) { static_cast<void>(c.park(1h)); }},
      {"shutdown", [](PuppetContext& c) { c.shutdown(StopMode::drain, 1h); }},
  };
  for (const Call& wait : waits) {
    CAPTURE(wait.name);
    auto impatient = options;
    impatient.queue_deadline = 1h;
    const auto puppet = std::make_shared<Puppet>(options);
    PuppetContext ctx = make(puppet, impatient);
    queue_four(ctx, *puppet, first);
    fail_from_now_on(*puppet);
    const std::string what = failure_of(wait, ctx);
    CHECK(contains(what, gone));
    CHECK(contains(what, "1 config taken and in the step (ticket " + std::to_string(first + 1)));
    CHECK(contains(what, "not taken (tickets " + std::to_string(first + 2) + ", " +
                             std::to_string(first + 3)));
    CHECK(ctx.hang_report() == what.substr(std::string(gone).size() + 2));

    const ExecutionStatistics s = ctx.stats();
    CHECK(s.completed == 1);
    CHECK(s.in_flight == 0);
    CHECK(s.submitted == s.completed + s.dropped);
    const int checks = puppet->checks();
    if (wait.name != "wait" && wait.name != "execute") CHECK(ctx.poll()->ticket == first);
    for (int round = 0; round < 2; ++round) {
      for (const Call& call : all_calls()) {
        CAPTURE(call.name);
        CHECK(failure_of(call, ctx) == what);
      }
    }
    CHECK(puppet->checks() == checks);  // they do not even ask
    CHECK_FALSE(ctx.shutdown(StopMode::drain, 50ms));
    CHECK(ctx.shutdown(StopMode::abort, 50ms));
    check_account(ctx, s.submitted, 1, s.submitted - 1);
  }
}

TEST_CASE("endings: parking finds that the GPU has failed, and the next config is accepted") {
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  puppet->on_park = [&] {
    fail_from_now_on(*puppet);
    throw DeviceError(gone, "cudaErrorIllegalAddress");
  };
  CHECK_THROWS_AS(static_cast<void>(ctx.park(1h)), DeviceError);
  CHECK_THROWS_AS(static_cast<void>(ctx.try_queue(1)), DeviceError);
}

TEST_CASE("endings: a failed GPU that does not even tell its name leaves the context open") {
  const Watchdog watchdog("GPU without a name");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  REQUIRE(ctx.queue(1));
  fail_from_now_on(*puppet);
  puppet->on_description = puppet->fault;
  std::this_thread::sleep_for(200ms);  // the statistics page is due, with what it runs on
  CHECK_THROWS_AS(static_cast<void>(ctx.flush(1h)), DeviceError);
  CHECK_THROWS_AS(static_cast<void>(ctx.try_queue(1)), DeviceError);
  CHECK_FALSE(ctx.shutdown(StopMode::drain, 50ms));
  check_account(ctx, 1, 0, 1);
}

TEST_CASE("endings: completions from before a failure cannot be polled any more") {
  const Watchdog watchdog("completions before a failure");
  const ContextOptions options = small_rings();
  const std::uint64_t first = options.first_ticket;
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  queue_four(ctx, *puppet, first);
  puppet->publish(first + 1);
  fail_from_now_on(*puppet);
  CHECK_THROWS_AS(static_cast<void>(ctx.park(1h)), DeviceError);
  check_account(ctx, 4, 2, 2);
  SUBCASE("poll") {
    for (const std::uint64_t ticket : {first, first + 1}) {
      const auto done = ctx.poll();
      REQUIRE(done);
      CHECK(done->ticket == ticket);
    }
  }
  SUBCASE("wait") {
    CHECK(ctx.wait(1h));
    CHECK(ctx.wait(1h));
  }
  SUBCASE("poll_many") {
    std::array<Completion<int>, 8> out;
    CHECK(ctx.poll_many(out) == 2);
  }
  CHECK_THROWS_AS(static_cast<void>(ctx.poll()), DeviceError);
  puppet->publish(first + 2);  // after the failure it no longer counts
  CHECK_THROWS_AS(static_cast<void>(ctx.poll()), DeviceError);
  check_account(ctx, 4, 2, 2);
}

TEST_CASE("endings: a loop that only polls never learns that the GPU has failed") {
  const Watchdog watchdog("polls of a failed GPU");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  queue_four(ctx, *puppet, options.first_ticket);
  std::array<Completion<int>, 4> out;
  REQUIRE(ctx.poll());
  while (ctx.try_queue(1)) {
  }
  const std::uint64_t submitted = ctx.stats().submitted;
  fail_from_now_on(*puppet);
  const auto learns = [](auto call) {
    for (int i = 0; i < 1 << 18; ++i) call();
  };
  SUBCASE("poll") {
    CHECK_THROWS_AS(learns([&] { static_cast<void>(ctx.poll()); }), DeviceError);
  }
  SUBCASE("poll_many") {
    CHECK_THROWS_AS(learns([&] { static_cast<void>(ctx.poll_many(out)); }), DeviceError);
  }
  SUBCASE("try_queue") {
    CHECK_THROWS_AS(learns([&] { static_cast<void>(ctx.try_queue(1)); }), DeviceError);
  }
  SUBCASE("try_queue_many") {
    CHECK_THROWS_AS(learns([&] {
                      static_cast<void>(ctx.try_queue_many(std::array{1, 2}));
                    }),
                    DeviceError);
  }
  check_account(ctx, submitted, 1, submitted - 1);
}

TEST_CASE("endings: a context that was shut down in order asks the GPU, and throws") {
  const Watchdog watchdog("polls of a closed context");
  for (const StopMode mode : {StopMode::drain, StopMode::abort}) {
    const ContextOptions options = small_rings();
    const auto puppet = std::make_shared<Puppet>(options);
    PuppetContext ctx = make(puppet, options);
    REQUIRE(ctx.queue(1));
    if (mode == StopMode::drain) puppet->work();
    REQUIRE(ctx.shutdown(mode, 50ms));
    fail_from_now_on(*puppet);
    const int checks = puppet->checks();
    std::array<Completion<int>, 4> out;
    CHECK(ctx.poll().has_value() == (mode == StopMode::drain));
    for (int i = 0; i < 1 << 15; ++i) {
      REQUIRE_FALSE(ctx.poll());
      REQUIRE(ctx.poll_many(out) == 0);
      REQUIRE(ctx.try_queue(1).status == QueueStatus::closed);
      REQUIRE(ctx.try_queue_many(std::array{1, 2}).status == QueueStatus::closed);
    }
    CHECK(ctx.queue(1, 1h).status == QueueStatus::closed);
    CHECK_FALSE(ctx.wait(1h));
    CHECK(ctx.flush(1h));
    CHECK_THROWS_AS(ctx.execute(1), UseError);
    CHECK(puppet->checks() == checks);
    CHECK(ctx.stats().config_overflows == 0);
  }
}

TEST_CASE("endings: shutdown(drain) of a context that cannot drain throws, and ends nothing") {
  const Watchdog watchdog("drain that cannot be");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
  SUBCASE("another thread has aborted it") {
    ctx.request_abort();
  }
  SUBCASE("it never starts") {
    puppet->fault = [] { throw TimeoutError("has not started"); };
  }
  CHECK_FALSE(ctx.shutdown(StopMode::drain, 1h));
  CHECK(puppet->command() == Command::abort);
  check_account(ctx, 4, 0, 4);
}

TEST_CASE("endings: a second shutdown says that a stuck step has ended, or does not see it end") {
  const Watchdog watchdog("second shutdown");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  REQUIRE(ctx.queue(1));
  puppet->on_leave = [] { return false; };
  CHECK_FALSE(ctx.shutdown(StopMode::abort, 50ms));
  CHECK_FALSE(ctx.shutdown(StopMode::abort, 50ms));
  puppet->on_leave = [] { return true; };
  CHECK(ctx.shutdown(StopMode::abort, 50ms));
  const int leaves = puppet->leaves();
  CHECK(ctx.shutdown(StopMode::abort, 50ms));
  CHECK(puppet->leaves() == leaves);
}

TEST_CASE("endings: after a shutdown that was in vain the destructor waits once more") {
  const Watchdog watchdog("destructor of a stuck context");
  for (const std::uint32_t ports : {1U, 3U}) {
    CAPTURE(ports);
    ContextOptions options = small_rings();
    options.ports = ports;
    const auto puppet = std::make_shared<Puppet>(options);
    puppet->on_leave = [] { return false; };
    {
      PuppetContext ctx = make(puppet, options);
      REQUIRE(ctx.queue(1));
      CHECK_FALSE(ctx.shutdown(StopMode::abort, 50ms));
      CHECK(puppet->leaves() == 1);
    }
    CHECK(puppet->leaves() == 1);
  }
}

TEST_CASE("endings: polls bring a kernel back that has parked for want of work") {
  const Watchdog watchdog("polls of a parked kernel");
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  puppet->check_revives = false;
  PuppetContext ctx = make(puppet, options);
  REQUIRE(ctx.queue(1));
  puppet->work();
  puppet->say(Presence::parking);
  REQUIRE(ctx.wait(10s));
  for (int i = 0; i < 1 << 15; ++i) REQUIRE_FALSE(ctx.poll());
  CHECK(puppet->checks() > 0);
  CHECK(ctx.flush(10s));
  CHECK(puppet->revivals() == 0);
}

TEST_CASE("endings: a hang report names the wrong tickets, or some when nothing is open") {
  const ContextOptions options = small_rings();
  const auto puppet = std::make_shared<Puppet>(options);
  PuppetContext ctx = make(puppet, options);
  const auto ticket = [&](std::uint64_t i) { return std::to_string(options.first_ticket + i); };
  CHECK(ctx.hang_report().empty());
  for (int i = 0; i < 4; ++i) REQUIRE(ctx.queue(i));
  CHECK(ctx.hang_report() == "4 configs not taken (tickets " + ticket(0) + ", " + ticket(1) + ", " +
                                 ticket(2) + ", " + ticket(3) + ")");
  for (int i = 0; i < 3; ++i) REQUIRE(puppet->take());
  puppet->publish(options.first_ticket + 1);  // in any order
  CHECK(ctx.hang_report() == "2 configs taken and in the step (tickets " + ticket(0) + ", " +
                                 ticket(2) + "), 1 config not taken (ticket " + ticket(3) + ")");
  REQUIRE(ctx.poll());
  CHECK(contains(ctx.hang_report(), "2 configs taken"));
  HangRecord& record = puppet->memory().control().hang;
  record = {options.first_ticket + 2, 3, 132, 17, WaitPlace::grid_barrier};
  CHECK(contains(ctx.hang_report(), "grid barrier, ticket " + ticket(2) + ", block 17"));
  record = {};
  puppet->publish(options.first_ticket);
  puppet->publish(options.first_ticket + 2);
  puppet->work();
  CHECK(ctx.hang_report().empty());  // collected or not
  CHECK(ctx.flush(10s));
  CHECK(ctx.hang_report().empty());
}

TEST_CASE("endings: a lossy ring's lost telemetries are reported as configs that hang") {
  for (const auto policy : {TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
    ContextOptions options;
    options.executor = ExecutorKind::cpu;
    options.cpu_threads = 1;
    options.telemetry_slots = 4;
    options.telemetry_policy = policy;
    StepMemory memory(options);
    TestContext ctx = make_cpu_context<Order, Report>(memory.step(), options);
    for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(ctx.queue(hash_order(i)));
    REQUIRE(eventually([&] { return ctx.is_gpu_idle(); }));
    while (ctx.poll()) {
    }
    CHECK(ctx.hang_report().empty());
  }
}

/// What a launch queue does: the launch itself tells of an earlier step's fault.
class FaultyLaunches final : public Executor<int, int> {
 public:
  explicit FaultyLaunches(int good) : good_(good) {}

  QueueStatus try_submit(const int&) override {
    if (submitted_ == good_) throw DeviceError(gone, "cudaErrorIllegalAddress");
    ++submitted_;
    return QueueStatus::queued;
  }
  bool try_collect(Completion<int>& out) override {
    if (collected_ == submitted_) return false;
    out = {};
    out.ticket = static_cast<std::uint64_t>(collected_++);
    return true;
  }
  [[nodiscard]] std::uint64_t lost() const override { return 0; }
  [[nodiscard]] bool idle() const override { return false; }
  [[nodiscard]] RingCounters ring_counters(bool) override { return {}; }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return "faulty"; }
  void request_abort() override {}
  void check() override {
    if (submitted_ == good_) throw DeviceError(gone, "cudaErrorIllegalAddress");
  }
  bool stop(StopMode, std::chrono::nanoseconds) override { return true; }

 private:
  int good_;
  int submitted_ = 0;
  int collected_ = 0;
};

TEST_CASE("endings: a launch fails, and the ones before it are not counted, or later calls go on") {
  const auto make_faulty = [](int good) {
    std::vector<std::unique_ptr<Executor<int, int>>> executors;
    executors.push_back(std::make_unique<FaultyLaunches>(good));
    return PuppetContext(std::move(executors), {ExecutorKind::launch_queue, "faulty"}, {});
  };
  PuppetContext ctx = make_faulty(3);
  SUBCASE("one by one") {
    for (int i = 0; i < 3; ++i) REQUIRE(ctx.try_queue(i));
    CHECK_THROWS_AS(static_cast<void>(ctx.try_queue(4)), DeviceError);
  }
  SUBCASE("many at once") {
    CHECK(ctx.try_queue_many(std::vector<int>(5)).count == 3);
    CHECK_THROWS_AS(static_cast<void>(ctx.try_queue_many(std::vector<int>(5))), DeviceError);
  }
  CHECK(ctx.stats().submitted == 3);
  CHECK(ctx.stats().completed == 3);
  for (int i = 0; i < 3; ++i) CHECK(ctx.poll());
  CHECK_THROWS_AS(static_cast<void>(ctx.poll()), DeviceError);  // at once
  CHECK_THROWS_AS(static_cast<void>(ctx.flush(1h)), DeviceError);
  CHECK(is_balanced(ctx.stats()));
}

// ---- real threads ------------------------------------------------------------------------------

TestContext make_on_cpu(StepMemory& memory, const ContextOptions& options) {
  return make_cpu_context<Order, Report>(memory.step(), options);
}

/// Both scopes of both executors on threads.
template <class Body>
void for_all_on_threads(Body body) {
  for (const ExecutorKind executor : {ExecutorKind::cpu, ExecutorKind::cpu_triple_buffer}) {
    for (const Scope scope : {Scope::block, Scope::grid}) {
      const std::string name =
          std::string(to_string(executor)) + ", " + std::string(to_string(scope));
      SUBCASE(name.c_str()) {
        const Watchdog watchdog("endings on threads");
        ContextOptions options;
        options.executor = executor;
        options.scope = scope;
        options.cpu_threads = 2;
        body(options);
      }
    }
  }
}

TEST_CASE("endings: another thread aborts, and the owner goes on waiting, or work is miscounted") {
  for_all_on_threads([](auto options) { check_abort_from_another_thread(make_on_cpu, options); });
}

TEST_CASE("endings: a context that was aborted before its first config waits for it") {
  for_all_on_threads([](auto options) { check_abort_before_anything(make_on_cpu, options); });
}

TEST_CASE("endings: polls after a shutdown throw, or give what was given up") {
  for_all_on_threads([](auto options) { check_polls_after_the_end(make_on_cpu, options); });
}

TEST_CASE("endings: an exception leaves work running, or waits for it") {
  for_all_on_threads([](auto options) { check_unwinding(make_on_cpu, options); });
}

TEST_CASE("endings: the hang report of real workers is empty, or names the wrong ticket") {
  for_all_on_threads([](auto options) { check_hang_report(make_on_cpu, options, "not taken"); });
}

TEST_CASE("endings: the hang report forgets the config that hangs when others pass it") {
  for_all_on_threads([](auto options) { check_hang_report_of_small_rings(make_on_cpu, options); });
}

TEST_CASE("endings: the polls of a port throw because another one ended them all in order") {
  const Watchdog watchdog("polls of an ended port");
  ContextOptions options;
  SUBCASE("cpu") {
    options.executor = ExecutorKind::cpu;
  }
  SUBCASE("cpu_triple_buffer") {
    options.executor = ExecutorKind::cpu_triple_buffer;
  }
  options.cpu_threads = options.ports = 2;
  StepMemory memory(options);
  TestContext ctx = make_on_cpu(memory, options);
  REQUIRE(ctx.port(1).queue(hash_order(0)));
  REQUIRE(ctx.port(1).flush(10s));
  REQUIRE(ctx.shutdown(StopMode::drain, 10s));
  CHECK(ctx.port(1).poll());
  for (int i = 0; i < 1 << 15; ++i) {
    REQUIRE_FALSE(ctx.port(1).poll());
    REQUIRE(ctx.port(1).try_queue(hash_order(0)).status == QueueStatus::closed);
  }
  CHECK(ctx.port(1).stats().config_overflows == 0);
}

TEST_CASE("endings: ports that are shut down at once, each by its thread, wait for ever") {
  const Watchdog watchdog("ports that end at once");
  for (int round = 0; round < 400; ++round) {
    ContextOptions options;
    options.executor = round % 2 == 0 ? ExecutorKind::cpu : ExecutorKind::cpu_triple_buffer;
    options.ports = 2;
    options.cpu_threads = 8;
    options.publish_statistics = false;
    StepMemory memory(options);
    TestContext ctx = make_on_cpu(memory, options);
    std::barrier both(2);
    const auto end = [&](std::uint32_t port) {
      both.arrive_and_wait();
      return ctx.port(port).shutdown(StopMode::abort, 10s);
    };
    auto other = std::async(std::launch::async, end, 1U);
    CHECK(end(0));
    CHECK(other.get());
  }
}

TEST_CASE("endings: 200 aborts from another thread at random moments, and one hangs or miscounts") {
  const Watchdog watchdog("random aborts");
  Random random(11);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    ContextOptions options;
    options.executor = round % 4 < 2 ? ExecutorKind::cpu : ExecutorKind::cpu_triple_buffer;
    options.scope = round % 2 == 0 ? Scope::block : Scope::grid;
    options.cpu_threads = 2;
    options.config_slots = 4;
    options.telemetry_slots = round % 3 == 0 ? 2 : 8;
    options.first_ticket = (std::uint64_t{1} << 32) - 5;
    StepMemory memory(options);
    TestContext ctx = make_on_cpu(memory, options);
    const std::jthread other([&, wait = random.below(500)] {
      std::this_thread::sleep_for(std::chrono::microseconds(wait));
      ctx.request_abort();
    });
    std::uint64_t queued = 0;
    std::uint64_t polled = 0;
    try {
      for (bool closed = false; !closed;) {
        const QueueStatus status = ctx.try_queue(hash_order(queued)).status;
        closed = status == QueueStatus::closed;
        queued += status == QueueStatus::queued ? 1U : 0U;
        polled += ctx.poll() ? 1U : 0U;
      }
    } catch (const UseError&) {
    }
    CHECK(ctx.shutdown(StopMode::abort, 10s));
    while (ctx.poll()) ++polled;
    const ExecutionStatistics s = ctx.stats();
    CHECK(s.submitted == queued);
    CHECK(s.completed == polled);
    CHECK(s.dropped == queued - polled);
    CHECK(s.in_flight == 0);
  }
}

}  // namespace
}  // namespace aatgs::test
