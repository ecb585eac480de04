// SPDX-License-Identifier: Apache-2.0
// What every executor must keep to. Include it once in a test program, after a `Backend` with
//   static std::vector<Variant> variants();             // executors, scopes and widths to test
//   static GpuExecutionContext<C, T> make<C, T>(step, options);
// Each test case is named after what would go wrong.
#pragma once

#include "context_test_support.hpp"

namespace aatgs::test {

// ---- helpers -----------------------------------------------------------------------------------

/// Runs `body(options)` for each variant as a subcase, under a watchdog.
template <class Body>
void for_each_variant(Body body) {
  for (const Variant& variant : Backend::variants()) {
    SUBCASE(variant.name.c_str()) {
      const Watchdog watchdog(variant.name);
      body(variant.options);
    }
  }
}

inline TestContext make_test_context(StepMemory& memory, const ContextOptions& options) {
  return Backend::make<Order, Report>(memory.step(), options);
}

inline bool is_async(const ContextOptions& options) {
  return options.executor != ExecutorKind::launch && options.executor != ExecutorKind::graph;
}
inline bool is_buffered(const ContextOptions& options) {
  return options.executor == ExecutorKind::triple_buffer ||
         options.executor == ExecutorKind::cpu_triple_buffer;
}
inline bool is_graph_queue(const ContextOptions& options) {
  return options.executor == ExecutorKind::graph_queue;
}
/// Whether each config is a launch of its own.
inline bool is_launch(const ContextOptions& options) {
  return !is_async(options) || options.executor == ExecutorKind::launch_queue ||
         is_graph_queue(options) || is_buffered(options);
}
/// Those that run any step under any policy: `graph_queue` takes steps without barriers alone, and
/// loses no telemetry.
template <class Body>
void for_each_full_variant(Body body) {
  for_each_variant([body](const ContextOptions& options) {
    if (!is_graph_queue(options)) body(options);
  });
}
/// Few workers, so that few held configs occupy them all; one at `width` 1.
inline ContextOptions narrow(ContextOptions options, std::uint32_t width = 2) {
  options.workers = width;
  if (width < options.cpu_threads) options.cpu_threads = width;
  return options;
}
inline ContextOptions with_rings(ContextOptions options, std::uint32_t config_slots,
                                 std::uint32_t telemetry_slots) {
  options.config_slots = config_slots;
  options.telemetry_slots = telemetry_slots;
  return options;
}

/// Configs of the long runs. AATGS_TEST_CONFIGS sets it; executors that need long for each config
/// take a part.
inline std::uint64_t config_count(const ContextOptions& options) {
  const std::uint64_t all = environment("AATGS_TEST_CONFIGS", Backend::default_configs);
  const bool is_cpu = options.executor == ExecutorKind::cpu;
  if (is_cpu && options.scope == Scope::grid && options.cpu_threads > 1) return all / 5 + 1;
  const bool is_launched = is_async(options) && is_launch(options);
  if (is_launched) return all / 10 + 1;
  return is_async(options) ? all : all / 50 + 1;
}

/// Runs `count` hash orders and says what went wrong.
inline Tally run_orders(TestContext& ctx, std::uint64_t first, std::uint64_t count) {
  const auto is_right = [first](std::uint64_t i, const Report& report) {
    return is_report_of(hash_order(i), report) && report.ticket == first + i && report.errors == 0;
  };
  return run_all(ctx, first, count, hash_order, is_right);
}

/// Queues held configs until there is no room for another, which it tries for 50 ms; their number.
inline std::uint64_t queue_held_until_refused(TestContext& ctx, QueueStatus& refusal) {
  for (std::uint64_t queued = 0;; ++queued) {
    const QueueResult result = ctx.queue(hold_order(), 50ms);
    refusal = result.status;
    if (!result || queued == 1000) return queued;
  }
}

/// The same until every worker holds one: a worker that a busy machine has kept from running would
/// make room again.
inline std::uint64_t queue_held_until_full(TestContext& ctx, StepMemory& memory,
                                           const ContextOptions& options, QueueStatus& refusal) {
  const std::uint32_t groups = options.scope == Scope::grid ? 1 : std::max(1U, ctx.workers());
  const std::uint64_t before = queue_held_until_refused(ctx, refusal);
  CHECK(memory.wait_for_held(groups));
  return before + queue_held_until_refused(ctx, refusal);
}

inline std::uint64_t poll_all(TestContext& ctx) {
  std::uint64_t count = 0;
  while (ctx.poll()) ++count;
  return count;
}

/// The equation that holds at every moment; also no counter may have wrapped below zero.
inline bool adds_up(const ExecutionStatistics& s) {
  return s.submitted == s.completed + s.failed + s.dropped + s.in_flight &&
         s.in_flight <= s.submitted && s.completed <= s.submitted && s.dropped <= s.submitted &&
         s.sync_iterations + s.async_iterations == s.completed + s.failed &&
         s.config_ring.now <= 1 && s.telemetry_ring.now <= 1;
}

// ---- configs and telemetry ---------------------------------------------------------------------

TEST_CASE("context: a config or its telemetry is lost, doubled or torn") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    const std::uint64_t count = config_count(options);
    const Tally tally = run_orders(ctx, 0, count);
    INFO(tally);
    CHECK(tally.clean());
    const ExecutionStatistics stats = ctx.stats();
    CHECK(stats.completed == count);
    CHECK(stats.dropped == 0);
    CHECK(stats.in_flight == 0);
    const Accounting rule(1, 1);
    std::uint64_t measured = 0;
    for (std::uint64_t t = 0; t < count; ++t) measured += rule.measures(t) ? 1U : 0U;
    CHECK(stats.queue_to_visible.count == measured);
    CHECK(stats.taken_to_finished.count == measured);
  });
}

TEST_CASE("context: of configs queued many at once some are lost, doubled or counted wrongly") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 16, 32));
    std::vector<Order> orders;
    for (std::uint64_t i = 0; i < 1000; ++i) orders.push_back(hash_order(i));
    std::vector<Completion<Report>> done(40);
    std::vector<int> seen(orders.size());
    std::size_t queued = 0;
    std::size_t collected = 0;
    for (Patience patience; collected < orders.size() && patience.lasts();) {
      const std::size_t wish = std::min<std::size_t>(orders.size() - queued, 1 + queued % 23);
      const auto result = ctx.try_queue_many(std::span<const Order>(orders).subspan(queued, wish));
      CHECK(result.ticket == queued);
      CHECK((result.count == wish) == (result.status == QueueStatus::queued));
      queued += result.count;
      const std::size_t found = ctx.poll_many(std::span(done).first(1 + collected % 40));
      for (std::size_t i = 0; i < found; ++i) {
        REQUIRE(done[i].ticket < queued);
        ++seen[done[i].ticket];
        CHECK(is_report_of(orders[done[i].ticket], done[i].telemetry));
      }
      if (found != 0) patience.progress();
      collected += found;
      CHECK(adds_up(ctx.stats()));
    }
    CHECK(std::count(seen.begin(), seen.end(), 1) == 1000);
    CHECK(ctx.stats().completed == 1000);
    CHECK(ctx.shutdown(StopMode::drain, 10s));
    CHECK(ctx.try_queue_many(orders).status == QueueStatus::closed);
    CHECK(ctx.poll_many(done) == 0);
  });
}

TEST_CASE("context: rings of 1, 2 and 4 slots mix up laps") {
  for_each_variant([](const ContextOptions& options) {
    const std::pair<std::uint32_t, std::uint32_t> sizes[] = {
        {1, 1}, {2, 1}, {1, 4}, {4, 2}, {2, 64}};
    for (const auto& [config_slots, telemetry_slots] : sizes) {
      CAPTURE(config_slots);
      CAPTURE(telemetry_slots);
      StepMemory memory(options);
      TestContext ctx =
          make_test_context(memory, with_rings(options, config_slots, telemetry_slots));
      const Tally tally = run_orders(ctx, 0, config_count(options) / 50 + 20);
      INFO(tally);
      CHECK(tally.clean());
    }
  });
}

template <std::size_t ConfigBytes, std::size_t TelemetryBytes>
void check_sizes(const ContextOptions& options) {
  using Config = Blob<ConfigBytes>;
  using Telemetry = Blob<TelemetryBytes>;
  CAPTURE(ConfigBytes);
  auto ctx = Backend::make<Config, Telemetry>(HashStep{}, with_rings(options, 16, 16));
  const auto is_right = [](std::uint64_t i, const Telemetry& out) {
    return is_echo(make_blob<Config>(i), out);
  };
  const std::uint64_t count = config_count(options) / 50 + 20;
  const Tally tally = run_all(ctx, 0, count, make_blob<Config>, is_right);
  INFO(tally);
  CHECK(tally.clean());
}

TEST_CASE("context: messages of 4 bytes to 4 KiB are cut or padded wrongly") {
  for_each_variant([](const ContextOptions& options) {
    check_sizes<16, 4>(options);
    check_sizes<1000, 64>(options);
    check_sizes<4096, 4096>(options);
  });
}

TEST_CASE("context: tickets go wrong where laps and words overflow") {
  for_each_variant([](const ContextOptions& options) {
    for (const int bit : {32, 35, 63}) {
      for (const std::uint32_t slots : {1U, 8U}) {
        CAPTURE(bit);
        CAPTURE(slots);
        ContextOptions high = with_rings(options, slots, slots);
        high.first_ticket = (std::uint64_t{1} << bit) - 5;
        StepMemory memory(high);
        TestContext ctx = make_test_context(memory, high);
        const Tally tally = run_orders(ctx, high.first_ticket, 40);
        INFO(tally);
        CHECK(tally.clean());
      }
    }
  });
}

TEST_CASE("context: a failed config is not reported, or stops the ones after it") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    std::vector<Order> orders;
    for (std::uint32_t i = 0; i < 60; ++i) {  // failing: thread 7 * i, with code 100 + i
      orders.push_back(i % 3 == 1 ? make_order(Op::fail, 100 + i, 7 * i) : hash_order(i));
    }
    const auto results = ctx.execute_batch(orders);
    for (std::uint32_t i = 0; i < 60; ++i) {
      CAPTURE(i);
      CHECK(is_report_of(orders[i], results[i].telemetry));
      CHECK(results[i].status == (i % 3 == 1 ? CompletionStatus::failed : CompletionStatus::ok));
      CHECK(results[i].code == (i % 3 == 1 ? 100 + i : 0));
    }
    CHECK(ctx.stats().completed == 40);
    CHECK(ctx.stats().failed == 20);
    CHECK(adds_up(ctx.stats()));
  });
}

TEST_CASE("context: a completion's times are out of order") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    std::vector<Order> orders(200);
    std::uint64_t wrong = 0;
    for (const auto& done : ctx.execute_batch(orders)) {
      if (done.taken_ns == 0 || done.taken_ns > done.started_ns ||
          done.started_ns > done.finished_ns) {
        ++wrong;
      }
    }
    CHECK(wrong == 0);
  });
}

// ---- batches and execute -----------------------------------------------------------------------

TEST_CASE("context: a batch longer than the rings comes back out of order or not at all") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 8, 4));
    std::vector<Order> orders;
    for (std::uint64_t i = 0; i < 500; ++i) orders.push_back(hash_order(i));
    const auto results = ctx.execute_batch(orders);
    REQUIRE(results.size() == orders.size());
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < orders.size(); ++i) {
      const bool right = results[i].ok() && results[i].ticket == i &&
                         is_report_of(orders[i], results[i].telemetry);
      if (!right) ++wrong;
    }
    CHECK(wrong == 0);
    CHECK_FALSE(ctx.poll());
    CHECK(ctx.execute_batch({}).empty());
  });
}

TEST_CASE("context: a batch into given memory leaves old results there, or runs without room") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 16, 16));
    std::vector<Order> orders;
    for (std::uint32_t i = 0; i < 60; ++i) {
      orders.push_back(i % 3 == 1 ? make_order(Op::fail, 100 + i, 7 * i) : hash_order(i));
    }
    std::vector<TestContext::Done> results(60);
    for (auto& old : results) {
      old.ticket = 999;
      old.code = 999;
      old.status = CompletionStatus::lost;
    }
    ctx.execute_batch(orders, results);
    for (std::uint32_t i = 0; i < 60; ++i) {
      CAPTURE(i);
      CHECK(results[i].ticket == i);
      CHECK(is_report_of(orders[i], results[i].telemetry));
      CHECK(results[i].status == (i % 3 == 1 ? CompletionStatus::failed : CompletionStatus::ok));
      CHECK(results[i].code == (i % 3 == 1 ? 100 + i : 0));
    }
    CHECK_THROWS_AS(ctx.execute_batch(orders, std::span(results).first(59)), UseError);
    CHECK(ctx.stats().submitted == 60);
  });
}

TEST_CASE("context: a batch counts its own waiting for room as endless overflows") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 2, 2));
    ctx.execute_batch(std::vector<Order>(300));
    CHECK(ctx.stats().config_overflows <= 300);
  });
}

TEST_CASE("context: a batch swallows the completions of earlier configs") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 16, 16));
    Checklist earlier(0, 5);
    for (std::uint64_t i = 0; i < 5; ++i) REQUIRE(ctx.queue(hash_order(i)));
    std::vector<Order> orders;
    for (std::uint64_t i = 5; i < 60; ++i) orders.push_back(hash_order(i));
    const auto results = ctx.execute_batch(orders);
    for (std::uint64_t i = 0; i < orders.size(); ++i) {
      CHECK(results[i].ticket == i + 5);
      CHECK(is_report_of(orders[i], results[i].telemetry));
    }
    const auto is_right = [](std::uint64_t i, const Report& report) {
      return is_report_of(hash_order(i), report);
    };
    while (auto done = ctx.poll()) earlier.tick(*done, is_right);
    INFO(earlier.tally());
    CHECK(earlier.tally().clean());
  });
}

TEST_CASE("context: an empty batch waits for ever for earlier configs") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    CHECK(ctx.execute_batch({}).empty());
    REQUIRE(ctx.queue(hash_order(0)));
    CHECK(ctx.execute_batch({}).empty());
    CHECK(ctx.poll().has_value());
  });
}

TEST_CASE("context: execute loses a completion between two calls") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 4, 4));
    const std::uint64_t count = 400;
    Checklist list(0, count);
    const auto is_right = [](std::uint64_t i, const Report& report) {
      return is_report_of(hash_order(i), report);
    };
    for (std::uint64_t i = 0; i < count; ++i) {
      if (const auto done = ctx.execute(hash_order(i))) list.tick(*done, is_right);
    }
    REQUIRE(ctx.flush(10s));
    while (auto done = ctx.poll()) list.tick(*done, is_right);
    INFO(list.tally());
    CHECK(list.tally().clean());
    CHECK(ctx.stats().config_overflows <= count);  // one for a config, however long it waits
  });
}

TEST_CASE("context: a long step hides the finished ones behind it") {
  for_each_variant([](const ContextOptions& options) {
    const bool one_at_a_time =
        options.scope == Scope::grid || options.cpu_threads == 1 || is_buffered(options);
    if (!is_async(options) || one_at_a_time) return;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 64, 64));
    REQUIRE(ctx.queue(hold_order()));
    REQUIRE(memory.wait_for_held(1));
    for (std::uint64_t i = 1; i <= 50; ++i) REQUIRE(ctx.queue(hash_order(i)));
    for (std::uint64_t i = 1; i <= 50; ++i) {
      const auto done = ctx.wait(4s);
      REQUIRE(done);
      CHECK(done->ticket != 0);
    }
    memory.set(Word::gate, 1);
    const auto last = ctx.wait(4s);
    REQUIRE(last);
    CHECK(last->ticket == 0);
    CHECK_FALSE(ctx.wait(1s));
  });
}

// ---- deadlines and full rings ------------------------------------------------------------------

TEST_CASE("context: flush returns before the running step has ended, or never") {
  for_each_variant([](const ContextOptions& options) {
    if (!is_async(options)) return;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    CHECK(ctx.flush(0ns));
    for (int i = 0; i < 3; ++i) REQUIRE(ctx.queue(i == 1 ? hold_order() : hash_order(0)));
    const auto begin = std::chrono::steady_clock::now();
    const bool flushed = ctx.flush(30ms);
    const auto took = std::chrono::steady_clock::now() - begin;
    if (took >= std::chrono::nanoseconds(longest_hold_ns)) {
      MESSAGE("under a tool (memcheck) that lets cudaStreamQuery wait for the step: not tested");
      return;
    }
    CHECK_FALSE(flushed);
    CHECK(took >= 30ms);
    memory.set(Word::gate, 1);
    CHECK(ctx.flush(10s));
    CHECK(ctx.stats().in_flight == 0);
    CHECK(poll_all(ctx) == 3);
  });
}

TEST_CASE("context: queue overruns a full config ring, or waits past its deadline") {
  for_each_variant([](const ContextOptions& options) {
    if (!is_async(options)) return;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(narrow(options), 4, 64));
    QueueStatus refusal{};
    const std::uint64_t queued = queue_held_until_full(ctx, memory, options, refusal);
    CHECK(refusal == QueueStatus::config_full);
    CHECK(queued >= 4);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(ctx.queue(hash_order(0), 20ms).status == QueueStatus::config_full);
    CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
    const ExecutionStatistics stats = ctx.stats();
    CHECK(stats.submitted == queued);
    CHECK(stats.config_overflows >= 3);
    CHECK(stats.config_overflows <= queued + 3);
    CHECK(stats.config_ring.now == 1);
    CHECK(stats.config_ring.peak == 1);
    memory.set(Word::gate, 1);
    REQUIRE(ctx.flush(10s));
    CHECK(poll_all(ctx) == queued);
    CHECK(ctx.queue(hash_order(0)));
  });
}

TEST_CASE("context: a telemetry that nobody has collected is overwritten under `block`") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 16, 4));
    for (std::uint64_t i = 0; i < 4; ++i) REQUIRE(ctx.queue(hash_order(i)));
    CHECK(ctx.try_queue(hash_order(4)).status == QueueStatus::telemetry_full);
    CHECK(ctx.queue(hash_order(4), 5ms).status == QueueStatus::telemetry_full);
    REQUIRE(eventually([&] { return ctx.stats().telemetry_ring.now == 1; }));
    CHECK(adds_up(ctx.stats()));
    REQUIRE(ctx.poll());
    CHECK(ctx.queue(hash_order(4)));
    REQUIRE(ctx.flush(10s));
    CHECK(poll_all(ctx) == 4);
    CHECK(ctx.stats().dropped == 0);
  });
}

TEST_CASE("context: reject waits, or takes a config that it has rejected") {
  for_each_variant([](const ContextOptions& options) {
    if (!is_async(options)) return;
    ContextOptions rejecting = with_rings(narrow(options), 2, 64);
    rejecting.config_policy = ConfigPolicy::reject;
    rejecting.queue_deadline = std::chrono::hours(1);  // a wait would meet the watchdog
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, rejecting);
    QueueStatus refusal{};
    const std::uint64_t queued = queue_held_until_full(ctx, memory, options, refusal);
    const std::uint64_t before = ctx.stats().config_overflows;
    for (int i = 0; i < 10; ++i) {
      CHECK(ctx.queue(hash_order(0)).status == QueueStatus::config_full);
    }
    CHECK(ctx.stats().config_overflows == before + 10);
    memory.set(Word::gate, 1);
    REQUIRE(ctx.flush(10s));
    CHECK(poll_all(ctx) == queued);
  });
}

TEST_CASE("context: execute waits for room for ever") {
  for_each_variant([](const ContextOptions& options) {
    if (!is_async(options)) return;
    ContextOptions impatient = with_rings(narrow(options), 2, 64);
    impatient.queue_deadline = 30ms;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, impatient);
    QueueStatus refusal{};
    const std::uint64_t queued = queue_held_until_full(ctx, memory, options, refusal);
    CHECK_THROWS_AS(ctx.execute(hash_order(0)), TimeoutError);
    CHECK(ctx.stats().submitted == queued);
    memory.set(Word::gate, 1);
    REQUIRE(ctx.flush(10s));
  });
}

// ---- lossy telemetry ---------------------------------------------------------------------------

/// Queues `count` configs that nobody polls, on one worker, and waits for their end; the tickets
/// that are left then.
inline std::vector<bool> survivors(ContextOptions options, TelemetryPolicy policy,
                                   std::uint64_t count, ExecutionStatistics& stats) {
  options = with_rings(narrow(options, 1), 4, 8);
  options.telemetry_policy = policy;
  StepMemory memory(options);
  TestContext ctx = make_test_context(memory, options);
  bool add_up = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!ctx.queue(hash_order(i), 10s)) return {};
    add_up = add_up && adds_up(ctx.stats());
  }
  CHECK(add_up);
  CHECK(eventually([&] { return ctx.is_gpu_idle(); }));
  Checklist list(0, count);
  const auto is_right = [](std::uint64_t i, const Report& report) {
    return is_report_of(hash_order(i), report);
  };
  while (auto done = ctx.poll()) list.tick(*done, is_right);
  CHECK(list.tally().torn + list.tally().twice + list.tally().foreign == 0);
  CHECK(ctx.flush(10s));
  stats = ctx.stats();
  return list.seen();
}

TEST_CASE("context: drop_newest drops the oldest, or does not count what it drops") {
  for_each_full_variant([](const ContextOptions& options) {
    ExecutionStatistics stats;
    const auto seen = survivors(options, TelemetryPolicy::drop_newest, 100, stats);
    REQUIRE(seen.size() == 100);
    for (std::uint64_t i = 0; i < 100; ++i) CHECK(seen[i] == (i < 8));
    CHECK(stats.completed == 8);
    CHECK(stats.dropped == 92);
    CHECK(stats.telemetry_overflows == 92);
    CHECK(adds_up(stats));
  });
}

TEST_CASE("context: overwrite_oldest keeps the oldest, or does not count what it overwrites") {
  for_each_full_variant([](const ContextOptions& options) {
    ExecutionStatistics stats;
    const auto seen = survivors(options, TelemetryPolicy::overwrite_oldest, 100, stats);
    REQUIRE(seen.size() == 100);
    for (std::uint64_t i = 0; i < 100; ++i) CHECK(seen[i] == (i >= 92));
    CHECK(stats.completed == 8);
    CHECK(stats.dropped == 92);
    CHECK(stats.telemetry_overflows == 92);
    CHECK(adds_up(stats));
  });
}

TEST_CASE("context: a slow consumer of a lossy ring sees torn or doubled telemetry") {
  for_each_full_variant([](const ContextOptions& options) {
    for (const auto policy : {TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
      CAPTURE(static_cast<int>(policy));
      ContextOptions lossy = with_rings(options, 8, 4);
      lossy.telemetry_policy = policy;
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, lossy);
      const std::uint64_t count = config_count(options) / 20 + 50;
      Checklist list(0, count);
      const auto is_right = [](std::uint64_t i, const Report& report) {
        return is_report_of(hash_order(i), report);
      };
      Random random(5);
      bool add_up = true;
      for (std::uint64_t i = 0; i < count; ++i) {
        REQUIRE(ctx.queue(hash_order(i), 10s));
        if (random.below(4) == 0) {
          while (auto done = ctx.poll()) list.tick(*done, is_right);
        }
        if (i % 16 == 0) add_up = add_up && adds_up(ctx.stats());
      }
      REQUIRE(ctx.flush(10s));
      while (auto done = ctx.poll()) list.tick(*done, is_right);
      const Tally tally = list.tally();
      INFO(tally);
      CHECK(add_up);
      CHECK(tally.twice + tally.foreign + tally.torn + tally.not_ok == 0);
      const ExecutionStatistics stats = ctx.stats();
      CHECK(stats.completed == tally.returned);
      CHECK(stats.dropped == tally.missing);
      CHECK(stats.in_flight == 0);
    }
  });
}

TEST_CASE("context: a batch waits for telemetry that a lossy ring has lost, or has old ones") {
  for_each_full_variant([](const ContextOptions& options) {
    for (const auto policy : {TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
      ContextOptions lossy = with_rings(options, 8, 2);
      lossy.telemetry_policy = policy;
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, lossy);
      std::vector<Order> orders;
      for (std::uint64_t i = 0; i < 300; ++i) orders.push_back(hash_order(i));
      std::uint64_t lost = 0;
      std::uint64_t wrong = 0;
      std::vector<TestContext::Done> results(orders.size());
      for (auto& old : results) old.code = 999;  // of a batch before
      ctx.execute_batch(orders, results);
      for (std::uint64_t i = 0; i < orders.size(); ++i) {
        if (results[i].ticket != i || results[i].code != 0) ++wrong;
        if (results[i].status == CompletionStatus::lost) {
          ++lost;
        } else if (!is_report_of(orders[i], results[i].telemetry)) {
          ++wrong;
        }
      }
      CHECK(wrong == 0);
      CHECK(ctx.stats().dropped == lost);
    }
  });
}

// ---- statistics --------------------------------------------------------------------------------

TEST_CASE("context: the statistics do not add up in the middle of a run") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 8, 16));
    Random random(17);
    std::uint64_t queued = 0, completed = 0, failed = 0, wrong = 0;
    for (int i = 0; i < 3000; ++i) {
      if (random.below(2) == 0) {
        if (ctx.try_queue(make_order(random.below(5) == 0 ? Op::fail : Op::hash))) ++queued;
      } else if (const auto done = ctx.poll()) {
        ++(done->ok() ? completed : failed);
      }
      const ExecutionStatistics s = ctx.stats();
      const bool right = adds_up(s) && s.submitted == queued && s.completed == completed &&
                         s.failed == failed && s.dropped == 0;
      if (!right) ++wrong;
    }
    CHECK(wrong == 0);
    REQUIRE(ctx.flush(10s));
    poll_all(ctx);
    CHECK(ctx.stats().completed + ctx.stats().failed == queued);
    CHECK(ctx.stats().in_flight == 0);
    CHECK((is_async(options) ? ctx.stats().async_iterations : ctx.stats().sync_iterations) ==
          queued);
  });
}

TEST_CASE("context: reset_stats forgets what is in flight") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(ctx.queue(hash_order(i)));
    REQUIRE(eventually([&] { return ctx.is_gpu_idle(); }));
    for (int i = 0; i < 4; ++i) REQUIRE(ctx.poll());
    if (is_async(options)) REQUIRE(ctx.queue(hold_order()));
    const std::uint64_t open = is_async(options) ? 7 : 6;
    ctx.reset_stats();
    ExecutionStatistics stats = ctx.stats();
    CHECK(stats.submitted == open);
    CHECK(stats.in_flight == open);
    CHECK(stats.completed == 0);
    CHECK(stats.queue_to_visible.count == 0);
    CHECK(adds_up(stats));
    memory.set(Word::gate, 1);
    REQUIRE(ctx.flush(10s));
    stats = ctx.stats();
    CHECK(stats.completed == open);
    CHECK(stats.in_flight == 0);
    CHECK(adds_up(stats));
  });
}

TEST_CASE("context: losses from before reset_stats are counted again") {
  for_each_full_variant([](const ContextOptions& options) {
    for (const auto policy : {TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
      ContextOptions lossy = with_rings(options, 4, 2);
      lossy.telemetry_policy = policy;
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, lossy);
      for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(ctx.queue(hash_order(i), 10s));
      REQUIRE(eventually([&] { return ctx.is_gpu_idle(); }));
      REQUIRE(ctx.flush(10s));
      poll_all(ctx);
      REQUIRE(ctx.stats().dropped > 0);
      ctx.reset_stats();
      CHECK(ctx.stats().submitted == 0);
      CHECK(ctx.stats().dropped == 0);
      for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(ctx.queue(hash_order(i), 10s));
      REQUIRE(ctx.flush(10s));
      const ExecutionStatistics stats = ctx.stats();
      CHECK(stats.submitted == 20);
      CHECK(stats.completed + stats.dropped == 20);
      CHECK(adds_up(stats));
    }
  });
}

TEST_CASE("context: a loss hides every later moment at which the GPU was idle") {
  for_each_full_variant([](const ContextOptions& options) {
    for (const auto policy : {TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
      ContextOptions lossy = with_rings(options, 4, 2);
      lossy.telemetry_policy = policy;
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, lossy);
      for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(ctx.queue(hash_order(i), 10s));
      REQUIRE(ctx.flush(10s));
      poll_all(ctx);
      const std::uint64_t before = ctx.stats().gpu_found_idle;
      REQUIRE(ctx.queue(hash_order(0)));
      CHECK(ctx.stats().gpu_found_idle == before + 1);
      REQUIRE(ctx.flush(10s));
    }
  });
}

TEST_CASE("context: is_gpu_idle is wrong while a step runs or after it") {
  for_each_variant([](const ContextOptions& options) {
    for (const auto policy : {TelemetryPolicy::block, TelemetryPolicy::drop_newest}) {
      if (is_graph_queue(options) && policy != TelemetryPolicy::block) continue;
      ContextOptions chosen = options;
      chosen.telemetry_policy = policy;
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, chosen);
      CHECK(ctx.is_gpu_idle());
      if (!is_async(options)) {
        REQUIRE(ctx.queue(hash_order(0)));
        CHECK(ctx.is_gpu_idle());
        continue;
      }
      REQUIRE(ctx.queue(hold_order()));
      CHECK_FALSE(ctx.is_gpu_idle());
      REQUIRE(memory.wait_for_held(1));
      CHECK_FALSE(ctx.is_gpu_idle());
      memory.set(Word::gate, 1);
      CHECK(eventually([&] { return ctx.is_gpu_idle(); }));  // done, though not collected
      CHECK(ctx.stats().in_flight == 1);
      CHECK(ctx.stats().gpu_found_idle == 1);
    }
  });
}

// ---- the end -----------------------------------------------------------------------------------

TEST_CASE("context: shutdown(drain) leaves queued configs undone") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 8, 64));
    std::uint64_t queued = 0;
    while (queued < 60 && ctx.try_queue(hash_order(queued))) ++queued;
    CHECK(ctx.shutdown(StopMode::drain, 10s));
    CHECK(poll_all(ctx) == queued);
    const ExecutionStatistics stats = ctx.stats();
    CHECK(stats.completed == queued);
    CHECK(adds_up(stats));
    CHECK(ctx.shutdown(StopMode::drain, 10s));  // a second one does nothing
  });
}

TEST_CASE("context: shutdown(drain) hangs on a step that does not end in time") {
  for_each_variant([](const ContextOptions& options) {
    if (!is_async(options)) return;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    REQUIRE(ctx.queue(hold_order()));  // it watches for an abort
    CHECK_FALSE(ctx.shutdown(StopMode::drain, 30ms));
    CHECK(memory.get(Word::aborted) == memory.get(Word::held));
    const ExecutionStatistics stats = ctx.stats();
    CHECK(stats.in_flight == 0);
    CHECK(adds_up(stats));
  });
}

TEST_CASE("context: shutdown(abort) hangs, or miscounts what it gave up") {
  for_each_variant([](const ContextOptions& options) {
    const int rounds = options.executor == ExecutorKind::resident ? 40 : 6;
    for (int round = 0; round < rounds; ++round) {
      CAPTURE(round);
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, with_rings(options, 64, 256));
      const bool held = is_async(options) && round % 2 == 0;
      if (held) REQUIRE(ctx.queue(hold_order()));
      // Some rounds stop a full pipeline, at different moments.
      std::uint64_t queued = held ? 1 : 0;
      std::uint64_t polled = 0;
      for (int i = 0; i < 40 * round; ++i) {
        if (ctx.try_queue(hash_order(queued))) ++queued;
        if (i % 3 == 0 && ctx.poll()) ++polled;
      }
      REQUIRE(ctx.shutdown(StopMode::abort, 10s));
      CHECK(memory.get(Word::aborted) == memory.get(Word::held));
      polled += poll_all(ctx);
      const ExecutionStatistics stats = ctx.stats();
      CHECK(stats.submitted == queued);
      CHECK(stats.completed == polled);
      CHECK(stats.in_flight == 0);
      CHECK(stats.dropped == queued - polled);
      CHECK(adds_up(stats));
    }
  });
}

TEST_CASE("context: a context that was shut down takes configs") {
  for_each_variant([](const ContextOptions& options) {
    for (const StopMode mode : {StopMode::drain, StopMode::abort}) {
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, options);
      REQUIRE(ctx.queue(hash_order(0)));
      if (is_async(options) && mode == StopMode::abort) REQUIRE(ctx.queue(hold_order()));
      REQUIRE(ctx.shutdown(mode, 10s));
      CHECK(ctx.try_queue(hash_order(1)).status == QueueStatus::closed);
      CHECK(ctx.queue(hash_order(1)).status == QueueStatus::closed);
      CHECK(ctx.queue(hash_order(1), 10s).status == QueueStatus::closed);
      CHECK_THROWS_AS(ctx.execute(hash_order(1)), UseError);
      CHECK_THROWS_AS(ctx.execute_batch(std::vector<Order>(2)), UseError);
      const std::uint64_t submitted = ctx.stats().submitted;
      CHECK(submitted <= 2);
      CHECK(ctx.stats().in_flight == 0);
    }
  });
}

TEST_CASE("context: after an abort it still waits for what it gave up") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 16, 64));
    if (is_async(options)) REQUIRE(ctx.queue(hold_order()));
    for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(ctx.queue(hash_order(i)));
    REQUIRE(ctx.shutdown(StopMode::abort, 10s));
    CHECK(ctx.flush(50ms));
    CHECK(ctx.is_gpu_idle());
    poll_all(ctx);
    CHECK_FALSE(ctx.wait(10s));
  });
}

TEST_CASE("context: the destructor waits for queued work, or for a held step, for ever") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    {
      TestContext ctx = make_test_context(memory, with_rings(options, 16, 64));
      if (is_async(options)) REQUIRE(ctx.queue(hold_order()));
      for (std::uint64_t i = 0; i < 50; ++i) {
        if (!ctx.try_queue(hash_order(i))) break;
      }
    }
    CHECK(memory.get(Word::aborted) == memory.get(Word::held));
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  });
}

TEST_CASE("context: it has another number of workers than it says") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    const ContextOptions two = narrow(options);
    const TestContext ctx = make_test_context(memory, two);
    const bool on_host = two.executor == ExecutorKind::cpu;
    CHECK(ctx.workers() == (is_launch(two) ? 0 : on_host ? two.cpu_threads : two.workers));
  });
}

TEST_CASE("context: a moved context ends the executor twice, or not at all") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    {
      TestContext first = make_test_context(memory, options);
      REQUIRE(first.queue(hash_order(0)));
      TestContext second = std::move(first);
      REQUIRE(second.flush(10s));
      CHECK(poll_all(second) == 1);
    }
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  });
}

// ---- steps and their memory --------------------------------------------------------------------

TEST_CASE("step: it does not see what an earlier completed step wrote") {
  for_each_full_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    std::uint64_t errors = 0;
    for (std::uint64_t i = 0; i < 300; ++i) {  // each after the telemetry of the one before
      REQUIRE(ctx.queue(make_order(Op::rewrite, 0, i)));
      const auto done = ctx.wait(10s);
      REQUIRE(done);
      errors += done->telemetry.errors;
    }
    CHECK(errors == 0);
    CHECK(memory.cells().download() == std::vector<std::uint32_t>(memory.cells().size(), 300));
  });
}

TEST_CASE("step: in grid scope it overlaps with the step before") {
  for_each_full_variant([](const ContextOptions& options) {
    if (options.scope != Scope::grid) return;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    std::vector<Order> orders;
    for (std::uint64_t i = 0; i < 300; ++i) orders.push_back(make_order(Op::rewrite, 0, i));
    std::uint64_t errors = 0;
    for (const auto& done : ctx.execute_batch(orders)) errors += done.telemetry.errors;
    CHECK(errors == 0);
  });
}

TEST_CASE("group: reduce or broadcast gives a thread a wrong value") {
  for_each_full_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    std::vector<Order> orders;
    for (std::uint32_t i = 0; i < 100; ++i) orders.push_back(make_order(Op::collectives, 41 * i));
    for (const auto& done : ctx.execute_batch(orders)) {
      CHECK(done.telemetry.errors == 0);
      CHECK(done.telemetry.group_size > 0);
    }
  });
}

TEST_CASE("group: sync lets a thread through early, or hides a write") {
  for_each_full_variant([](const ContextOptions& options) {
    StepMemory memory(options, 1U << 19);
    TestContext ctx = make_test_context(memory, options);
    for (std::uint32_t i = 0; i < 20; ++i) {  // one at a time: they share the cells
      REQUIRE(ctx.queue(make_order(Op::barrier, 50 + i % 2)));
      const auto done = ctx.wait(10s);
      REQUIRE(done);
      CHECK(done->telemetry.errors == 0);
    }
  });
}

TEST_CASE("group: scratch is misaligned, or forgets what the last config left there") {
  for_each_full_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    const std::uint32_t count = 50;
    std::uint32_t most = 0;
    for (const auto& done : ctx.execute_batch(std::vector<Order>(count))) {
      CHECK(done.telemetry.misaligned == 0);
      CHECK(done.telemetry.least_uses == done.telemetry.most_uses);
      most = std::max(most, done.telemetry.most_uses);
    }
    if (is_launch(options)) {
      CHECK(most == 1);  // each launch has a scratch of its own
    } else if (options.executor != ExecutorKind::automatic && options.scope == Scope::grid &&
               ctx.stats().parks == 0) {
      CHECK(most == count);
    }
  });
}

TEST_CASE("step: enter and leave are not called in pairs") {
  for_each_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    for (std::uint64_t i = 0; i < 3; ++i) {
      REQUIRE(ctx.queue(hash_order(i)));
      REQUIRE(ctx.flush(10s));
      std::this_thread::sleep_for(3 * std::chrono::nanoseconds(options.park_after));
    }
    REQUIRE(ctx.shutdown(StopMode::drain, 10s));
    CHECK(memory.get(Word::entered) > 0);
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  });
}

TEST_CASE("buffer: a copy waits for the resident kernel, or misses what a completed step wrote") {
  for_each_full_variant([](const ContextOptions& options) {
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    for (std::uint32_t i = 0; i < 20; ++i) {
      const std::vector<std::uint32_t> values(memory.cells().size(), 1000 * i);
      memory.cells().upload(values);
      REQUIRE(ctx.queue(make_order(Op::rewrite, 0, 1000 * i)));
      const auto done = ctx.wait(10s);
      REQUIRE(done);
      CHECK(done->telemetry.errors == 0);
      CHECK(memory.cells().download() == std::vector<std::uint32_t>(values.size(), 1000 * i + 1));
    }
  });
}

TEST_CASE("ports: a host thread gets another one's completions, or loses its own") {
  for_each_variant([](ContextOptions options) {
    if (options.scope == Scope::grid) return;
    options.ports = 4;
    options.cpu_threads = 4;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 64, 64));
    const std::uint64_t count = config_count(options) / 8;
    std::atomic<int> wrong = 0;
    {
      std::vector<std::jthread> threads;
      for (std::uint32_t i = 0; i < options.ports; ++i) {
        threads.emplace_back([&, i] {
          TestContext& mine = ctx.port(i);
          std::uint64_t queued = 0;
          Patience patience;
          for (std::uint64_t done = 0; done < count && patience.lasts();) {
            // Configs that no other thread has; every other thread keeps one in flight.
            const std::uint64_t depth = i % 2 == 0 ? 64 : 1;
            if (queued < count && queued - done < depth) {
              queued += mine.try_queue(hash_order((queued << 8) | i)) ? 1 : 0;
            }
            if (const auto completion = mine.poll()) {
              const Order order = hash_order((completion->ticket << 8) | i);
              if (!is_report_of(order, completion->telemetry)) ++wrong;
              ++done;
              patience.progress();
            }
          }
        });
      }
    }
    CHECK(wrong == 0);
    for (std::uint32_t i = 0; i < options.ports; ++i) {
      CHECK(ctx.port(i).stats().completed == count);
      CHECK(adds_up(ctx.port(i).stats()));
      CHECK(ctx.port(i).is_gpu_idle());
    }
    CHECK_THROWS_AS(static_cast<void>(ctx.port(4)), UseError);
  });
}

TEST_CASE(
    "ports: after a shutdown through one of them another one takes configs or waits for ever") {
  for_each_variant([](ContextOptions options) {
    if (options.scope == Scope::grid) return;
    options.ports = 2;
    options.cpu_threads = 2;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    REQUIRE(ctx.port(1).queue(hash_order(1)));
    REQUIRE(ctx.port(1).flush(10s));
    REQUIRE(ctx.shutdown(StopMode::drain, 10s));
    CHECK(ctx.try_queue(hash_order(2)).status == QueueStatus::closed);
    CHECK(ctx.port(1).try_queue(hash_order(2)).status == QueueStatus::closed);
    CHECK(ctx.port(1).poll().has_value());
  });
}

TEST_CASE("context: two contexts at once disturb each other") {
  for_each_variant([](ContextOptions options) {
    options.workers = Backend::half_of_the_workers(options);
    StepMemory memories[] = {StepMemory(options), StepMemory(options)};
    TestContext contexts[] = {make_test_context(memories[0], options),
                              make_test_context(memories[1], options)};
    const std::uint64_t count = 200;
    Checklist lists[] = {Checklist(0, count), Checklist(0, count)};
    std::uint64_t queued[] = {0, 0};
    Patience patience;
    while (lists[0].returned() + lists[1].returned() < 2 * count && patience.lasts()) {
      for (int c = 0; c < 2; ++c) {  // the second gets other configs
        const auto order = [c](std::uint64_t i) {
          return hash_order(i + 1000 * static_cast<std::uint64_t>(c));
        };
        if (queued[c] < count && contexts[c].try_queue(order(queued[c]))) ++queued[c];
        const auto is_right = [&](std::uint64_t i, const Report& report) {
          return is_report_of(order(i), report);
        };
        if (const auto done = contexts[c].poll()) {
          lists[c].tick(*done, is_right);
          patience.progress();
        }
      }
    }
    INFO(lists[0].tally());
    INFO(lists[1].tally());
    CHECK(lists[0].tally().clean());
    CHECK(lists[1].tally().clean());
  });
}

}  // namespace aatgs::test
