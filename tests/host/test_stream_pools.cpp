// SPDX-License-Identifier: Apache-2.0
// Stream pools on host threads: the load must be what is really in the streams, and ready must not
// always be true.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/advanced_stream_pool.hpp>
#include <aatgs/host/stream/stream_pool.hpp>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../../host/src/stream/stream_choice.hpp"
#include "stream_gate.hpp"

namespace aatgs::test {
namespace {

using namespace std::chrono_literals;
using Pool = AdvancedStreamPool;

constexpr auto kernels = StreamPurpose::kernel_execution;
constexpr auto uploads = StreamPurpose::config_upload;

TEST_CASE("each purpose has streams of its own, made once and given by turns") {
  StreamPool pool(make_cpu_stream_device());
  const std::size_t made = pool.size();
  CHECK(made == 6);
  Stream& first = pool.shared(kernels);
  Stream& second = pool.shared(kernels);
  CHECK(&first != &second);
  CHECK(&pool.shared(kernels) == &first);
  CHECK(&pool.shared(uploads) == &pool.shared(uploads));
  CHECK(pool.shared(uploads).name().find("config upload") == 0);
  CHECK(pool.shared(uploads).priority() == StreamPriority::high);
  CHECK(pool.size() == made);
  CHECK_THROWS_AS(StreamPool(make_cpu_stream_device(), {.shared = {1, 1, 0, 1, 1}}), OptionError);
}

TEST_CASE("a leased stream is nobody else's until the lease ends, and is used again then") {
  StreamPool pool(make_cpu_stream_device(), {.leased = {2, 2, 2, 2, 2}});
  std::set<const Stream*> given{&pool.shared(uploads)};
  const Stream* returned = nullptr;
  const auto first = pool.lease(uploads);
  given.insert(first.get());
  {
    const auto second = pool.lease(uploads);
    returned = second.get();
    given.insert(returned);
    CHECK(given.size() == 3);
    CHECK_THROWS_AS((void)pool.lease(uploads), UseError);
    CHECK_NOTHROW((void)pool.lease(kernels));
  }
  const auto again = pool.lease(uploads);
  CHECK(again.get() == returned);
  CHECK_THROWS_AS((void)pool.lease(uploads), UseError);
}

TEST_CASE("a lease prefers a stream that is idle to one with work in it") {
  StreamPool pool(make_cpu_stream_device(), {.leased = {2, 2, 2, 2, 2}});
  Gate gate;
  {
    auto busy = pool.lease(uploads);
    auto idle = pool.lease(uploads);
    gate.hold(*busy);
    const Stream* expected = idle.get();
    busy.reset();
    idle.reset();
    CHECK(pool.lease(uploads).get() == expected);
  }
  gate.open();
  pool.synchronize_all(patience);
}

TEST_CASE("ready is not always true: streams with work in them are not, and become so") {
  StreamPool pool(make_cpu_stream_device());
  Gate one, other;
  Stream& first = pool.shared(kernels);
  Stream& second = pool.shared(kernels);
  CHECK(pool.has_ready_streams(kernels));
  one.hold(first);
  CHECK(pool.has_ready_streams(kernels));
  CHECK(pool.wait_for_any_ready(kernels, 0s) == &second);
  other.hold(second);
  CHECK_FALSE(pool.has_ready_streams(kernels));
  CHECK(pool.wait_for_any_ready(kernels, 5ms) == nullptr);
  CHECK(pool.has_ready_streams(uploads));
  std::jthread opener([&] {
    std::this_thread::sleep_for(2ms);
    other.open();
  });
  CHECK(pool.wait_for_any_ready(kernels, patience) == &second);
  one.open();
  pool.synchronize_all(patience);
  CHECK(pool.has_ready_streams(kernels));
}

TEST_CASE("waiting for all waits for all, though one failed") {
  StreamPool pool(make_cpu_stream_device());
  std::atomic<bool> ran{false};
  pool.shared(uploads).run([](StreamTarget) { throw std::logic_error("failed"); });
  pool.shared(StreamPurpose::auxiliary_compute).run([&](StreamTarget) {
    std::this_thread::sleep_for(5ms);
    ran = true;
  });
  CHECK_THROWS_WITH_AS(pool.synchronize_all(patience), "failed", std::logic_error);
  CHECK(ran);
  pool.synchronize_all(patience);
}

TEST_CASE("waiting for all with the longest deadline waits") {
  StreamPool pool(make_cpu_stream_device());
  std::atomic<bool> ran{false};
  pool.shared(uploads).run([&](StreamTarget) {
    std::this_thread::sleep_for(5ms);
    ran = true;
  });
  CHECK_NOTHROW(pool.synchronize_all(std::chrono::nanoseconds::max()));
  CHECK(ran);
  pool.synchronize_all(patience);
}

/// A pool that neither grows nor shrinks.
AdvancedStreamPoolOptions fixed(StreamStrategy strategy, unsigned streams) {
  AdvancedStreamPoolOptions options;
  options.strategy = strategy;
  options.least = options.most = streams;
  return options;
}

/// Names of the streams that the jobs came to, each of which stays in it until the gate opens.
std::vector<std::string> placed(Pool& pool, Gate& gate, const std::vector<Workload>& jobs) {
  std::vector<std::string> names;
  for (const Workload& job : jobs) {
    const auto lease = pool.shared(job);
    gate.hold(*lease);
    names.push_back(lease->name());
  }
  return names;
}

void drain(Pool& pool, Gate& gate) {
  gate.open();
  for (int i = 0; i < 60'000; ++i) {
    unsigned jobs = 0;
    for (const StreamLoad& load : pool.loads()) jobs += load.jobs;
    if (jobs == 0) return;
    std::this_thread::sleep_for(1ms);
  }
  FAIL("jobs are counted that were done long ago");
}

TEST_CASE("the load is what is in the streams: it rises with jobs and falls when they are done") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::load_balanced, 2));
  Gate gate;
  const auto names = placed(pool, gate, {{.expected = 10ms}, {.expected = 1ms}, {.expected = 2ms}});
  CHECK(names[0] != names[1]);
  CHECK(names[2] == names[1]);  // 3 ms there are less than 10
  std::chrono::nanoseconds most{0}, least{1h};
  for (const StreamLoad& load : pool.loads()) {
    most = std::max(most, load.pending);
    least = std::min(least, load.pending);
  }
  CHECK(most == 10ms);
  CHECK(least == 3ms);
  drain(pool, gate);
  for (const StreamLoad& load : pool.loads()) CHECK(load.pending == 0ns);
}

TEST_CASE("a job counts as long as its lease is held, though nothing was given to the stream yet") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::load_balanced, 2));
  const auto held = pool.shared({.expected = 1h});
  CHECK(pool.shared()->name() != held->name());
  CHECK(pool.shared()->name() != held->name());
}

TEST_CASE("load balanced goes round a stream that stays busy; round robin does not") {
  for (const auto strategy : {StreamStrategy::load_balanced, StreamStrategy::round_robin}) {
    CAPTURE(to_string(strategy));
    Pool pool(make_cpu_stream_device(), fixed(strategy, 3));
    Gate gate;
    const std::string busy = placed(pool, gate, {{.expected = 1h}}).front();
    int in_busy = 0;
    for (int i = 0; i < 9; ++i) {
      const auto lease = pool.shared();
      if (lease->name() == busy) {
        ++in_busy;
      } else {
        lease->synchronize(patience);
      }
    }
    CHECK(in_busy == (strategy == StreamStrategy::round_robin ? 3 : 0));
    drain(pool, gate);
  }
}

TEST_CASE("unknown jobs are expected to take what their kind took, measured by events") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::load_balanced, 2));
  CHECK(pool.average_workload_time(WorkloadKind::compute) == 0ns);
  {
    const auto lease = pool.shared({.kind = WorkloadKind::compute});
    lease->run([](StreamTarget) { std::this_thread::sleep_for(4ms); });
  }
  Gate none;
  drain(pool, none);
  const auto measured = pool.average_workload_time(WorkloadKind::compute);
  CHECK(measured >= 4ms);
  CHECK(pool.average_workload_time(WorkloadKind::memory) == 0ns);
  pool.record_workload_completion(WorkloadKind::memory, 1ms);
  pool.record_workload_completion(WorkloadKind::memory, 3ms);
  CHECK(pool.average_workload_time(WorkloadKind::memory) == 2ms);

  Gate gate;
  const Workload compute{.kind = WorkloadKind::compute}, memory{.kind = WorkloadKind::memory};
  const auto names = placed(pool, gate, {compute, memory, memory});
  CHECK(names[0] != names[1]);
  CHECK((measured > 4ms) == (names[2] == names[1]));
  drain(pool, gate);
}

TEST_CASE("jobs of a priority get streams of it, made if need be, or the nearest") {
  AdvancedStreamPoolOptions options;
  options.strategy = StreamStrategy::priority;
  options.least = 1;
  options.most = 2;
  Pool pool(make_cpu_stream_device(), options);
  const Workload high{.priority = StreamPriority::high, .expected = 1h};
  const auto first = pool.shared(high);
  CHECK(first->priority() == StreamPriority::high);
  CHECK(pool.size() == 2);
  CHECK(pool.shared({.priority = StreamPriority::low})->priority() ==
        StreamPriority::normal);                      // no more may be made
  CHECK(pool.shared(high)->name() == first->name());  // though it is busy and the other is not
}

TEST_CASE("workload aware keeps kinds apart as long as it can") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::workload_aware, 3));
  Gate gate;
  const Workload compute{.kind = WorkloadKind::compute, .expected = 1ms};
  const Workload memory{.kind = WorkloadKind::memory, .expected = 10ms};
  const Workload coordination{.kind = WorkloadKind::coordination, .expected = 1ms};
  const auto names = placed(pool, gate, {memory, compute, coordination, memory, compute, memory});
  CHECK(names[1] != names[0]);
  CHECK(names[2] != names[0]);
  CHECK(names[2] != names[1]);
  CHECK(names[3] == names[0]);  // though the others are less loaded
  CHECK(names[4] == names[1]);
  CHECK(names[5] == names[0]);
  drain(pool, gate);
}

TEST_CASE("a lease for oneself excludes others, waits its turn, and says who is in the way") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::round_robin, 2));
  auto alone = pool.lease();
  for (int i = 0; i < 4; ++i) CHECK(pool.shared()->name() != alone->name());
  {
    const auto held = pool.shared();
    std::string message;
    try {
      (void)pool.lease({}, 5ms);
    } catch (const TimeoutError& error) {
      message = error.what();
    }
    CHECK(message.find("'" + alone->name() + "' with 1 exclusive") != std::string::npos);
    CHECK(message.find("'" + held->name() + "' with 1 shared") != std::string::npos);
  }
  const auto other = pool.lease();
  CHECK_THROWS_AS((void)pool.shared({}, 5ms), TimeoutError);
  const std::string name = alone->name();
  std::jthread ender([&] {
    std::this_thread::sleep_for(2ms);
    alone.end();
  });
  CHECK(pool.shared({}, patience)->name() == name);
}

TEST_CASE("a lease with the longest deadline waits until another ends") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::round_robin, 1));
  auto alone = pool.lease();
  std::jthread ender([&] {
    std::this_thread::sleep_for(2ms);
    alone.end();
  });
  CHECK_NOTHROW((void)pool.lease({}, std::chrono::nanoseconds::max()));
}

TEST_CASE("a job that began while its shared stream was captured ends the pool's account") {
  const auto device = make_cpu_stream_device();
  Pool pool(device, fixed(StreamStrategy::round_robin, 1));
  {
    const auto capturing = pool.shared();
    capturing->begin_capture();
    const auto joined_in = pool.shared();
    StreamGraph graph(device);
    capturing->end_capture(graph);
  }
  pool.shared()->synchronize(patience);
  CHECK(pool.wait_for_any_ready(patience));
  CHECK(pool.loads()[0].jobs == 0);
  CHECK(pool.measures()[static_cast<std::size_t>(StreamStrategy::round_robin)].jobs == 2);
}

TEST_CASE("ready of the advanced pool follows the events too") {
  Pool pool(make_cpu_stream_device(), fixed(StreamStrategy::round_robin, 2));
  Gate gate;
  CHECK(pool.has_ready_streams());
  placed(pool, gate, {{}, {}});
  CHECK_FALSE(pool.has_ready_streams());
  CHECK_FALSE(pool.wait_for_any_ready(5ms));
  gate.open();
  CHECK(pool.wait_for_any_ready(patience));
}

TEST_CASE("the pool grows with the load up to its limit, and shrinks to its least") {
  AdvancedStreamPoolOptions options;
  options.least = 1;
  options.most = 3;
  options.shrink_after = 0s;
  Pool pool(make_cpu_stream_device(), options);
  CHECK_THROWS_AS(Pool(make_cpu_stream_device(), {.least = 0}), OptionError);
  CHECK_THROWS_AS(Pool(make_cpu_stream_device(), {.least = 3, .most = 2}), OptionError);
  CHECK_THROWS_AS(Pool(make_cpu_stream_device(), {.trial_jobs = 0}), OptionError);
  CHECK_THROWS_AS(Pool(nullptr), UseError);
  Gate gate;
  placed(pool, gate, {{}, {}});
  CHECK(pool.size() == 1);
  placed(pool, gate, {{}});
  CHECK(pool.size() == 2);
  placed(pool, gate, std::vector<Workload>(20));
  CHECK(pool.size() == 3);
  CHECK(pool.shrink() == 0);
  drain(pool, gate);
  CHECK(pool.shrink() == 2);
  CHECK(pool.size() == 1);
}

TEST_CASE("strategies are compared by what was measured, each tried first, and the soonest stays") {
  const auto compare = [](StreamStrategy now, std::array<int, 4> jobs, std::array<int, 4> ms) {
    StrategyMeasures measures;
    for (std::size_t i = 0; i < 4; ++i) {
      measures[i] = {static_cast<std::uint64_t>(jobs[i]), std::chrono::milliseconds(ms[i])};
    }
    return detail::compare_strategies(now, measures, 10);
  };
  const auto young = compare(StreamStrategy::priority, {10, 10, 3, 0}, {1, 1, 1, 0});
  CHECK_FALSE(young.switched());
  CHECK(young.reason.find("3 of 10") != std::string::npos);
  const auto next = compare(StreamStrategy::priority, {10, 10, 12, 0}, {1, 1, 1, 0});
  CHECK(next.now == StreamStrategy::workload_aware);
  CHECK_FALSE(next.is_settled);
  const auto best = compare(StreamStrategy::round_robin, {10, 10, 10, 10}, {9, 5, 7, 6});
  CHECK(best.now == StreamStrategy::load_balanced);
  CHECK(best.is_settled);
  const auto same = compare(StreamStrategy::round_robin, {10, 10, 10, 10}, {100, 98, 99, 120});
  CHECK_FALSE(same.switched());
}

TEST_CASE("optimisation tries every strategy on real jobs and keeps the soonest that it measured") {
  auto options = fixed(StreamStrategy::round_robin, 3);
  options.trial_jobs = 6;
  Pool pool(make_cpu_stream_device(), options);
  StreamOptimization result;
  for (int round = 0; round < 20 && !result.is_settled; ++round) {
    {
      const auto lease = pool.shared({.expected = 5ms});
      lease->run([](StreamTarget) { std::this_thread::sleep_for(5ms); });
    }
    for (int i = 0; i < 6; ++i) (void)pool.shared({.expected = 1us});
    Gate none;
    drain(pool, none);
    result = pool.optimize_configuration();
  }
  CHECK(result.is_settled);
  CHECK(result.now == pool.strategy());
  const auto kept = result.measures[static_cast<std::size_t>(result.now)];
  for (const StrategyMeasure& measure : result.measures) {
    CHECK(measure.jobs >= 6);
    CHECK(measure.mean_completion > 0ns);
    CHECK(kept.mean_completion * 95 / 100 <= measure.mean_completion);
  }
  pool.forget_measures();
  CHECK(pool.measures()[0].jobs == 0);
}

TEST_CASE("a lease outlives its pool; one that was moved from does nothing") {
  auto pool = std::make_unique<Pool>(make_cpu_stream_device());
  auto lease = pool->shared();
  auto moved = std::move(lease);
  pool.reset();
  std::atomic<bool> ran{false};
  moved->run([&](StreamTarget) { ran = true; });
  moved->synchronize(patience);
  CHECK(ran);
  moved.end();
  moved.end();
  lease.end();
}

TEST_CASE("several threads take from a pool") {
  AdvancedStreamPoolOptions options;
  options.most = 4;
  options.shrink_after = 0s;
  Pool pool(make_cpu_stream_device(), options);
  std::atomic<int> runs{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 100; ++i) {
          const auto lease = t == 0 ? pool.lease() : pool.shared();
          lease->run([&](StreamTarget) { ++runs; });
          if (i % 20 == 0) (void)pool.optimize_configuration();
          (void)pool.has_ready_streams();
        }
      });
    }
  }
  Gate none;
  drain(pool, none);
  CHECK(runs == 400);
}

}  // namespace
}  // namespace aatgs::test
