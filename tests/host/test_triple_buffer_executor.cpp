// SPDX-License-Identifier: Apache-2.0
// The executor triple_buffer where its device fails; all else is in the context suite.
#include <aatgs/host/make_cpu_context.hpp>
#include <functional>

#include "context_test_support.hpp"
#include "forwarding_device.hpp"

namespace aatgs::test {
namespace {

/// Host threads that are gone for whoever asks, or refuse copies.
class FailingDevice final : public ForwardingDevice {
 public:
  bool is_lost = false;
  bool refuses_copies = false;

  bool is_done(void* event) override {
    if (is_lost) throw DeviceError("the GPU is gone", "cudaErrorIllegalAddress");
    return ForwardingDevice::is_done(event);
  }
  void copy(void* stream, void* to, const void* from, std::size_t bytes) override {
    if (refuses_copies) throw DeviceError("no copy", "cudaErrorLaunchFailure");
    ForwardingDevice::copy(stream, to, from, bytes);
  }
};

TestContext make_on(const std::shared_ptr<FailingDevice>& device, StepMemory& memory) {
  ContextOptions options;
  options.executor = ExecutorKind::cpu_triple_buffer;
  options.config_slots = 4;
  using Launcher = CpuStepLauncher<Order, Report, TestStep>;
  const auto make = [&]() -> std::shared_ptr<StepLauncher<Order, Report>> {
    return std::make_shared<Launcher>(memory.step(), options, std::make_shared<CpuLaunchOrders>());
  };
  return {make_triple_buffer_executors<Order, Report>(device, options, make),
          {options.executor, "a test"},
          options};
}

ContextOptions on_host() {
  ContextOptions options;
  options.executor = ExecutorKind::cpu_triple_buffer;
  return options;
}

/// Every call tells of the failure from now on.
void check_failed(TestContext& ctx, const char* code) {
  const std::function<void()> calls[] = {
      [&] { (void)ctx.poll(); }, [&] { (void)ctx.try_queue(hash_order(0)); },
      [&] { (void)ctx.flush(1h); }, [&] { (void)ctx.park(1h); }, [&] { ctx.execute_batch({}); }};
  for (const auto& call : calls) {
    std::string told;
    try {
      call();
    } catch (const DeviceError& error) {
      told = error.code_name();
    }
    CHECK(told == code);
  }
}

TEST_CASE("triple_buffer: when the device fails, telemetry from before is lost, or some made up") {
  for (const bool polls : {false, true}) {
    const Watchdog watchdog("a device that fails");
    StepMemory memory(on_host());
    const auto device = std::make_shared<FailingDevice>();
    TestContext ctx = make_on(device, memory);
    REQUIRE(ctx.queue(hash_order(0)));
    REQUIRE(eventually([&] { return ctx.is_gpu_idle(); }));  // and not collected
    for (std::uint64_t i = 1; i < 6; ++i) REQUIRE(ctx.queue(hold_order()));
    device->is_lost = true;
    std::uint64_t told = 0;
    std::string what;
    try {
      for (Patience patience; patience.lasts();) {
        const auto done = polls ? ctx.poll() : ctx.wait(10s);
        if (!done) continue;
        CHECK(is_report_of(hash_order(0), done->telemetry));
        ++told;
      }
    } catch (const DeviceError& error) {
      what = error.what();
    }
    INFO(what);
    CHECK(told == 1);
    CHECK(what.find("the GPU is gone") != std::string::npos);
    CHECK(what.find("taken and in the step (ticket 1), 4 configs not taken (tickets 2, 3, 4, 5)") !=
          std::string::npos);
    check_failed(ctx, "cudaErrorIllegalAddress");
    const ExecutionStatistics stats = ctx.stats();
    CHECK(stats.submitted == 6);
    CHECK(stats.completed == 1);
    CHECK(stats.dropped == 5);
    CHECK(ctx.shutdown(StopMode::abort, 1s));
    memory.set(Word::gate, 1);
    device->is_lost = false;  // so that its memory can be freed
  }
}

TEST_CASE("triple_buffer: a config that could not be sent is counted, or later calls go on") {
  const Watchdog watchdog("a device that refuses");
  StepMemory memory(on_host());
  const auto device = std::make_shared<FailingDevice>();
  TestContext ctx = make_on(device, memory);
  REQUIRE(ctx.queue(hash_order(0)));
  REQUIRE(eventually([&] { return ctx.is_gpu_idle(); }));
  device->refuses_copies = true;
  CHECK_THROWS_AS((void)ctx.try_queue(hash_order(1)), DeviceError);
  CHECK(ctx.hang_report().empty());
  CHECK(ctx.stats().submitted == 1);
  const auto done = ctx.poll();
  REQUIRE(done);
  CHECK(is_report_of(hash_order(0), done->telemetry));
  check_failed(ctx, "cudaErrorLaunchFailure");
  CHECK(ctx.stats().in_flight == 0);
  CHECK(ctx.stats().completed == 1);
}

TEST_CASE("triple_buffer: a waiting config that could not be sent is run later, or waited for") {
  const Watchdog watchdog("a device that refuses those that wait");
  StepMemory memory(on_host());
  const auto device = std::make_shared<FailingDevice>();
  TestContext ctx = make_on(device, memory);
  for (int i = 0; i < 5; ++i) REQUIRE(ctx.queue(hold_order()));  // two of them wait
  device->refuses_copies = true;
  memory.set(Word::gate, 1);
  CHECK_THROWS_AS((void)ctx.flush(1h), DeviceError);
  const ExecutionStatistics stats = ctx.stats();
  CHECK(stats.submitted == 5);
  CHECK(stats.completed + stats.dropped == 5);
  CHECK(stats.dropped >= 2);
  CHECK(memory.get(Word::held) <= 3);
  for (std::uint64_t i = 0; i < stats.completed; ++i) CHECK(ctx.poll());
  device->refuses_copies = false;
  for (int i = 0; i < 10'000; ++i) REQUIRE_FALSE(ctx.is_gpu_idle());
  check_failed(ctx, "cudaErrorLaunchFailure");
}

TEST_CASE("triple_buffer: after an abort, configs that wait on the host are run") {
  const Watchdog watchdog("an abort");
  StepMemory memory(on_host());
  TestContext ctx = make_cpu_context<Order, Report>(memory.step(), on_host());
  for (int i = 0; i < 8; ++i) REQUIRE(ctx.queue(hold_order()));
  REQUIRE(memory.wait_for_held(1));
  REQUIRE(ctx.shutdown(StopMode::abort, 10s));
  CHECK(memory.get(Word::held) == 3);  // as many as were on their way
  CHECK(ctx.stats().completed == 3);
  CHECK(ctx.stats().dropped == 5);
}

TEST_CASE("triple_buffer: a host that only queues, and polls nothing, is refused for ever") {
  const Watchdog watchdog("a host that only queues");
  ContextOptions options = on_host();
  options.config_slots = 2;
  options.telemetry_slots = 4;
  options.telemetry_policy = TelemetryPolicy::overwrite_oldest;
  StepMemory memory(options);
  TestContext ctx = make_cpu_context<Order, Report>(memory.step(), options);
  for (std::uint64_t i = 0; i < 30; ++i) {
    REQUIRE(eventually([&] { return static_cast<bool>(ctx.try_queue(hash_order(i))); }));
  }
  REQUIRE(ctx.flush(10s));
  std::uint64_t last = 0;
  while (const auto done = ctx.poll()) last = done->ticket;
  CHECK(last == 29);
  CHECK(ctx.stats().completed + ctx.stats().dropped == 30);
}

}  // namespace
}  // namespace aatgs::test
