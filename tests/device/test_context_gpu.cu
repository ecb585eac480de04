// SPDX-License-Identifier: Apache-2.0
// The context suite on a GPU, and what only the resident kernel has: parking, and steps that the
// host cannot stop.
#include <aatgs/host/batch_roads.cuh>
#include <aatgs/host/make_context.cuh>
#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "../host/context_test_support.hpp"

namespace aatgs::test {

struct Backend {
  static constexpr std::uint64_t default_configs = 1'000'000;

  static std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const auto executor :
         {ExecutorKind::resident, ExecutorKind::launch_queue, ExecutorKind::launch,
          ExecutorKind::graph, ExecutorKind::triple_buffer, ExecutorKind::graph_queue,
          ExecutorKind::automatic}) {
      for (const Scope scope : {Scope::block, Scope::grid}) {
        if (executor == ExecutorKind::graph_queue && scope == Scope::block) continue;
        ContextOptions options;
        options.executor = executor;
        options.scope = scope;
        options.queue_deadline = 10s;
        options.park_after = 5ms;
        options.step_deadline = 10s;
        all.push_back(
            {std::string(to_string(executor)) + ", " + std::string(to_string(scope)), options});
      }
    }
    return all;
  }
  template <class Config, class Telemetry, class Step>
  static GpuExecutionContext<Config, Telemetry> make(const Step& step,
                                                     const ContextOptions& options) {
    if constexpr (requires { loose(step); }) {
      if (options.executor == ExecutorKind::graph_queue) {
        return make_context<Config, Telemetry>(loose(step), options);
      }
    }
    return make_context<Config, Telemetry>(step, options);
  }
  /// Blocks, so that the kernels of two contexts are resident together.
  static std::uint32_t half_of_the_workers(const ContextOptions&) {
    int sms = 0;
    cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0);
    return static_cast<std::uint32_t>(sms) / 2 - 1;
  }
};

}  // namespace aatgs::test

#include "../host/context_suite.hpp"

namespace aatgs::test {

template <class Body>
void for_each_resident_variant(Body body) {
  for_each_variant([body](const ContextOptions& options) {
    if (options.executor == ExecutorKind::resident) body(options);
  });
}

TEST_CASE("executors: they do not agree on the telemetry of the same configs") {
  const Watchdog watchdog("executors agree");
  std::vector<Order> orders;
  for (std::uint32_t i = 0; i < 200; ++i) {
    orders.push_back(i % 10 == 3 ? make_order(Op::fail, i) : hash_order(i));
  }
  std::vector<Variant> variants = Backend::variants();
  for (const Scope scope : {Scope::block, Scope::grid}) {
    ContextOptions options;
    options.executor = ExecutorKind::cpu;
    options.scope = scope;
    options.cpu_threads = 3;
    variants.push_back({"cpu", options});
  }
  std::vector<Completion<Report>> expected;
  for (const Variant& variant : variants) {
    CAPTURE(variant.name);
    StepMemory memory(variant.options);
    TestContext ctx = make_test_context(memory, variant.options);
    if (variant.options.executor != ExecutorKind::automatic) {
      CHECK(ctx.executor() == variant.options.executor);
    }
    const auto results = ctx.execute_batch(orders);
    if (expected.empty()) expected = results;
    for (std::size_t i = 0; i < orders.size(); ++i) {
      CHECK(results[i].status == expected[i].status);
      CHECK(results[i].code == expected[i].code);
      CHECK(results[i].telemetry.hash == expected[i].telemetry.hash);
      CHECK(results[i].telemetry.ticket == expected[i].telemetry.ticket);
      CHECK(is_report_of(orders[i], results[i].telemetry));
    }
  }
}

/// Adds up values in device memory.
struct AddStep {
  struct Config {
    const std::uint32_t* values;
    std::uint32_t count;
  };
  struct Sum {
    std::uint64_t sum;
  };
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Sum& out) const {
    std::uint64_t mine = 0;
    for (std::uint32_t i = group.rank(); i < config.count; i += group.size()) {
      mine += config.values[i];
    }
    mine = group.sum(mine);
    if (group.rank() == 0) out.sum = mine;
  }
};

TEST_CASE("resident: memory made and filled beside the kernel is read as it was before") {
  // The kernel that zeroes it leaves its lines in the L1 of the SMs on which ours stays.
  for_each_resident_variant([](ContextOptions options) {
    options.park_after = 1s;
    options.bounded = std::getenv("AATGS_TEST_BOUNDED") != nullptr;  // sanitizers forbid the rest
    auto ctx = make_context<AddStep::Config, AddStep::Sum>(AddStep{}, options);
    REQUIRE(ctx.queue({nullptr, 0}));
    REQUIRE(ctx.wait(10s));
    std::vector<Buffer<std::uint32_t>> kept;
    for (std::uint32_t round = 1; round <= 20; ++round) {
      constexpr std::uint32_t count = 1 << 15;
      const std::vector<std::uint32_t> values(count, round);
      kept.emplace_back(MemoryKind::device, count, options.device);
      kept.back().upload(values);
      REQUIRE(ctx.queue({kept.back().data(), count}));
      const auto done = ctx.wait(10s);
      REQUIRE(done);
      CHECK(done->telemetry.sum == std::uint64_t{count} * round);
    }
  });
}

TEST_CASE("resident: a config that comes while the kernel parks is never run") {
  for_each_resident_variant([](ContextOptions options) {
    options.park_after = 1ms;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    Random random(3);
    for (std::uint64_t i = 0; i < 200; ++i) {
      CAPTURE(i);
      std::this_thread::sleep_for(std::chrono::microseconds(500 + random.below(1500)));
      REQUIRE(ctx.try_queue(hash_order(i)));
      std::optional<Completion<Report>> done;
      REQUIRE(eventually([&] { return (done = ctx.poll()).has_value(); }));  // poll alone must do
      CHECK(is_report_of(hash_order(i), done->telemetry));
    }
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t before = ctx.stats().parks;
      std::this_thread::sleep_for(100ms);
      REQUIRE(ctx.queue(hash_order(0)));
      REQUIRE(ctx.flush(10s));
      CHECK(ctx.stats().parks > before);
    }
    CHECK(ctx.stats().parks <= 203);
    ctx.reset_stats();
    CHECK(ctx.stats().parks == 0);
  });
}

TEST_CASE("resident: parking forgets a ticket, a failure or the scratch of a running config") {
  for_each_resident_variant([](ContextOptions options) {
    options.park_after = 1ms;
    options.workers = 3;  // so that a worker meets each of its tickets often
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, with_rings(options, 2, 4));
    for (std::uint32_t i = 0; i < 40; ++i) {
      CAPTURE(i);
      const std::vector<Order> orders(1 + i % 7, make_order(i % 4 == 0 ? Op::fail : Op::hash, i));
      for (const auto& done : ctx.execute_batch(orders)) {
        CHECK(done.ok() == (i % 4 != 0));
        CHECK(done.code == (i % 4 == 0 ? i : 0));
        CHECK(done.telemetry.least_uses > 0);
      }
      std::this_thread::sleep_for(i % 2 == 0 ? 5ms : 1ms);
    }
    CHECK(ctx.stats().parks > 0);
    CHECK(adds_up(ctx.stats()));
  });
}

TEST_CASE("resident: a kernel that never parks does not end") {
  for_each_resident_variant([](ContextOptions options) {
    options.park_after = 0ms;
    StepMemory memory(options);
    {
      TestContext ctx = make_test_context(memory, options);
      REQUIRE(ctx.queue(hash_order(0)));
      REQUIRE(ctx.flush(10s));
      std::this_thread::sleep_for(20ms);
      REQUIRE(ctx.queue(hash_order(1)));
      REQUIRE(ctx.flush(10s));
      CHECK(ctx.stats().parks == 0);
    }
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  });
}

TEST_CASE("resident: shutdown hangs on a deaf step, or counts its late telemetry twice") {
  for_each_resident_variant([](ContextOptions options) {
    options.step_deadline = 20s;
    StepMemory memory(options);
    TestContext ctx = make_test_context(memory, options);
    REQUIRE(ctx.queue(make_order(Op::hold_fast, 0, 3'000'000'000)));
    REQUIRE(memory.wait_for_held(1));
    CHECK_FALSE(ctx.shutdown(StopMode::abort, 100ms));
    CHECK(adds_up(ctx.stats()));
    memory.set(Word::gate, 1);
    std::this_thread::sleep_for(200ms);  // its telemetry may come now
    poll_all(ctx);
    const ExecutionStatistics stats = ctx.stats();
    CHECK(stats.submitted == 1);
    CHECK(adds_up(stats));
  });
}

TEST_CASE("context: automatic takes the CPU although there is a GPU") {
  const Watchdog watchdog("automatic");
  ContextOptions options;
  TestContext ctx = [&] {
    ContextOptions resident = options;
    resident.executor = ExecutorKind::resident;
    StepMemory memory(resident);
    TestContext made = make_test_context(memory, options);
    CHECK(made.shutdown(StopMode::drain, 10s));
    return made;
  }();
  CHECK(ctx.executor() == ExecutorKind::resident);  // the first that it measures
  CHECK(ctx.reason().find("found ") == 0);
}

TEST_CASE("automatic: on a GPU it never settles, or loses configs at a change") {
  for_each_variant([](const ContextOptions& options) {
    if (options.executor != ExecutorKind::automatic) return;
    for (const std::uint64_t depth : {1U, 16U, 64U}) {
      CAPTURE(depth);
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, options);
      const std::uint64_t count = 10'000;
      Checklist list(0, count);
      std::uint64_t queued = 0;
      const auto is_right = [](std::uint64_t i, const Report& report) {
        return is_report_of(hash_order(i), report) && report.ticket == i;
      };
      for (Patience patience; list.returned() < count && patience.lasts();) {
        if (queued < count && queued - list.returned() < depth) {
          queued += ctx.try_queue(hash_order(queued)) ? 1U : 0U;
        }
        if (const auto done = ctx.poll()) {
          list.tick(*done, is_right);
          patience.progress();
        }
      }
      INFO(list.tally());
      CHECK(list.tally().clean());
      CHECK(ctx.is_settled());
      CHECK(ctx.reason().find("us per config, measured over the first") != std::string::npos);
      MESSAGE(ctx.reason());
      CHECK(memory.get(Word::entered) > 0);
      CHECK(adds_up(ctx.stats()));
    }
  });
}

/// A step that leaves nothing but its telemetry, and so gets no fence before it.
struct QuietStep {
  static constexpr unsigned block_threads = 64;
  static constexpr bool grid_sync = false;
  static constexpr bool writes_memory = false;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Order& order, Report& out) const {
    if (order.op == Op::fail && group.rank() == group.size() - 1) group.fail(order.number);
    if (group.rank() != 0) return;
    out.hash = part_of_hash(order, 0, 1);
    out.ticket = group.ticket();
    for (std::uint32_t i = 0; i < 7; ++i) out.pattern[i] = HashStep::word(out.hash, i);
  }
};
static_assert(!step_writes_memory<QuietStep>() && step_writes_memory<HashStep>());

TEST_CASE("step: one that writes no memory loses or tears its telemetry, or its failure") {
  for_each_variant([](const ContextOptions& options) {
    auto ctx = Backend::make<Order, Report>(QuietStep{}, options);
    std::vector<Order> orders;
    for (std::uint32_t i = 0; i < 2000; ++i) {
      orders.push_back(i % 10 == 3 ? make_order(Op::fail, 100 + i) : hash_order(i));
    }
    std::uint64_t wrong = 0;
    for (std::uint64_t round = 0; round < 3; ++round) {
      const auto results = ctx.execute_batch(orders);
      for (std::uint32_t i = 0; i < orders.size(); ++i) {
        const bool fails = i % 10 == 3;
        const bool right = is_report_of(orders[i], results[i].telemetry) &&
                           results[i].ticket == round * orders.size() + i &&
                           results[i].ok() != fails && results[i].code == (fails ? 100 + i : 0);
        wrong += right ? 0U : 1U;
      }
    }
    CHECK(wrong == 0);
    CHECK(adds_up(ctx.stats()));
  });
}

TEST_CASE("automatic: a batch road on a GPU loses, doubles or tears configs") {
  for_each_variant([](ContextOptions options) {
    if (options.executor != ExecutorKind::automatic) return;
    for (const std::uint32_t count : {9U, 100U, 1000U, 3000U}) {
      CAPTURE(count);
      StepMemory memory(options);
      auto ctx = Backend::make<Order, Report>(loose(memory.step()), options);  // has one in both
      std::vector<Order> orders;
      for (std::uint32_t i = 0; i < count; ++i) {
        orders.push_back(i % 10 == 3 ? make_order(Op::fail, 100 + i) : hash_order(i));
      }
      std::uint64_t ticket = 0;
      std::uint64_t wrong = 0;
      const auto run = [&] {
        const auto results = ctx.execute_batch(orders);
        for (std::uint32_t i = 0; i < count; ++i, ++ticket) {
          const bool fails = i % 10 == 3;
          const auto& done = results[i];
          const bool right = is_report_of(orders[i], done.telemetry) && done.ticket == ticket &&
                             done.telemetry.ticket == ticket && done.ok() != fails &&
                             done.code == (fails ? 100 + i : 0) && done.taken_ns != 0 &&
                             done.taken_ns <= done.started_ns &&
                             done.started_ns <= done.finished_ns;
          if (!right) ++wrong;
        }
        wrong += adds_up(ctx.stats()) ? 0U : 1U;
      };
      for (int round = 0; round < 2000 && !ctx.is_settled(); ++round) run();
      CHECK(ctx.is_settled());
      MESSAGE(ctx.reason());
      CHECK(ctx.reason().find("; batches of ") != std::string::npos);
      for (int round = 0; round < 5; ++round) run();
      CHECK(wrong == 0);
      CHECK(ctx.stats().completed + ctx.stats().failed == ticket);
      for (int i = 0; i < 100; ++i, ++ticket) {  // and back again
        REQUIRE(ctx.queue(hash_order(ticket)));
        const auto done = ctx.wait(10s);
        REQUIRE(done);
        CHECK(done->ticket == ticket);
        CHECK(is_report_of(hash_order(ticket), done->telemetry));
      }
      CHECK(adds_up(ctx.stats()));
    }
  });
}

TEST_CASE("automatic: an abort does not reach a batch at work on a GPU") {
  for_each_variant([](const ContextOptions& options) {
    if (options.executor != ExecutorKind::automatic) return;
    constexpr std::uint32_t count = 1000;
    StepMemory memory(options);
    auto ctx = Backend::make<Order, Report>(loose(memory.step()), options);
    const std::vector<Order> quick(count, hash_order(5));
    for (int round = 0; round < 2000 && !ctx.is_settled(); ++round) ctx.execute_batch(quick);
    CAPTURE(ctx.reason());
    REQUIRE(ctx.reason().find("; batches of ") != std::string::npos);
    // Without the abort they would go on for 5 s, side by side or one after the other.
    const bool in_turn = options.scope == Scope::grid;
    const std::vector<Order> held(
        count, make_order(Op::hold, 0, in_turn ? longest_hold_ns / count : longest_hold_ns));
    const std::jthread other([&] {
      static_cast<void>(memory.wait_for_held(1));
      ctx.request_abort();
    });
    const auto run = [&] {
      ctx.execute_batch(held);
      ctx.execute_batch(quick);  // all of the one before may have been on the GPU already
    };
    CHECK_THROWS_AS(run(), UseError);
    CHECK(memory.get(Word::aborted) > 0);
    CHECK(ctx.shutdown(StopMode::abort, 10s));
    CHECK(ctx.stats().in_flight == 0);
    CHECK(adds_up(ctx.stats()));
  });
}

/// Ends within a 16-byte word.
struct Uneven {
  std::uint32_t words[5];
};
struct UnevenStep {
  static constexpr bool device_only = true;
  static constexpr bool grid_sync = false;
  static constexpr unsigned block_threads = 32;

  template <class Group>
  __device__ void operator()(Group& group, const Uneven& config, Uneven& out) const {
    if (group.rank() == 0) out = config;
  }
};

TEST_CASE("batch roads: configs that end within a 16-byte word are torn or shifted") {
  for (const Scope scope : {Scope::block, Scope::grid}) {
    CAPTURE(to_string(scope));
    ContextOptions options;
    options.scope = scope;
    const auto road = make_batch_road<Uneven, Uneven>(UnevenStep{}, options);
    constexpr std::uint32_t count = 700;  // more than go in one launch or graph
    std::vector<Uneven> configs(count);
    std::vector<Completion<Uneven>> results(count);
    std::uint64_t wrong = 0;
    for (std::uint32_t round = 0; round < 3; ++round) {
      for (std::uint32_t i = 0; i < count; ++i) {
        for (std::uint32_t k = 0; k < 5; ++k) configs[i].words[k] = 10'000 * round + 5 * i + k;
      }
      road->run(std::uint64_t{round} * count, configs, results);
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool same = std::equal(std::begin(configs[i].words), std::end(configs[i].words),
                                     std::begin(results[i].telemetry.words));
        wrong += same && results[i].ok() ? 0U : 1U;
      }
    }
    CHECK(wrong == 0);
  }
}

template <class Body>
void for_graph_queue(Body body) {
  for_each_variant([body](const ContextOptions& options) {
    if (is_graph_queue(options)) body(options);
  });
}

TEST_CASE("graph_queue: a step begins before the one before it has ended, or loses what it tells") {
  for_graph_queue([](const ContextOptions& options) {
    for (const std::uint64_t depth : {1U, 2U, 7U, 64U, 300U}) {
      CAPTURE(depth);
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, options);
      constexpr std::uint64_t count = 3000;
      // Each writes the cells but every tenth, which fails.
      const auto fails = [](std::uint64_t i) { return i % 10 == 9; };
      const auto order_of = [&](std::uint64_t i) {
        return fails(i) ? make_order(Op::fail, 7, i) : make_order(Op::rewrite, 0, i - i / 10);
      };
      std::uint64_t queued = 0;
      std::uint64_t collected = 0;
      std::uint64_t wrong = 0;
      for (Patience patience; collected < count && patience.lasts();) {
        const bool may_queue = queued < count && queued - collected < depth;
        if (may_queue && ctx.try_queue(order_of(queued))) ++queued;
        const auto done = ctx.poll();
        if (!done) continue;
        const bool failed = fails(collected);
        const bool is_right = done->ticket == collected && done->ok() != failed &&
                              done->code == (failed ? 7U : 0U) &&
                              (failed || is_report_of(order_of(collected), done->telemetry)) &&
                              done->started_ns <= done->finished_ns;
        if (!is_right) ++wrong;
        ++collected;
        patience.progress();
      }
      CHECK(collected == count);
      CHECK(wrong == 0);
      CHECK(adds_up(ctx.stats()));
    }
  });
}

TEST_CASE("graph_queue: what is queued behind a graph waits for a call that never comes") {
  for_graph_queue([](const ContextOptions& options) {
    for (const std::uint64_t count : {2U, 3U, 200U}) {
      CAPTURE(count);
      StepMemory memory(options);
      TestContext ctx = make_test_context(memory, options);
      for (std::uint64_t i = 0; i < count; ++i) REQUIRE(ctx.queue(hash_order(i)));
      CHECK(eventually([&] { return ctx.is_gpu_idle(); }));  // no poll
      CHECK(poll_all(ctx) == count);
    }
  });
}

TEST_CASE("graph_queue: a step that may wait for all its blocks is taken") {
  ContextOptions options;
  options.executor = ExecutorKind::graph_queue;
  options.scope = Scope::grid;
  StepMemory memory(options);
  std::string message;
  try {
    make_context<Order, Report>(memory.step(), options);
  } catch (const OptionError& error) {
    message = error.what();
  }
  CHECK(message.find("grid_sync = false") != std::string::npos);
}

TEST_CASE("automatic: who keeps many steps without barriers in flight is not offered graphs") {
  for_each_variant([](const ContextOptions& options) {
    const bool is_automatic = options.executor == ExecutorKind::automatic;
    if (!is_automatic || options.scope != Scope::grid) return;
    for (const std::uint64_t depth : {1U, 64U}) {
      CAPTURE(depth);
      StepMemory memory(options);
      TestContext ctx = Backend::make<Order, Report>(loose(memory.step()), options);
      Checklist list(0, 30'000);
      std::uint64_t queued = 0;
      for (Patience patience; list.returned() < 30'000 && patience.lasts();) {
        const bool may_queue = queued < 30'000 && queued - list.returned() < depth;
        if (may_queue && ctx.try_queue(hash_order(queued))) ++queued;
        const auto done = ctx.poll();
        if (!done) continue;
        list.tick(*done, [](std::uint64_t i, const Report& report) {
          return is_report_of(hash_order(i), report);
        });
        patience.progress();
      }
      CHECK(list.tally().clean());
      CHECK(ctx.is_settled());
      MESSAGE(ctx.reason());
      const bool measured = ctx.reason().find("graph_queue: not measured") == std::string::npos;
      CHECK(measured == (depth == 64));
    }
  });
}

TEST_CASE("options: more blocks than can be resident at once are taken") {
  for_each_variant([](ContextOptions options) {
    if (options.executor != ExecutorKind::resident && options.scope == Scope::block) return;
    for (const std::uint32_t workers : {1'000'000U, ~0U}) {  // one more than the most is none
      CAPTURE(workers);
      options.workers = workers;
      StepMemory memory(options);
      bool named = false;
      try {
        make_test_context(memory, options);
      } catch (const OptionError& error) {
        named = std::string(error.what()).find(std::to_string(workers)) != std::string::npos;
      }
      CHECK(named);
    }
  });
}

/// Two blocks of this fit an SM only if the kernel keeps to 32 registers.
struct CrowdedStep {
  static constexpr unsigned block_threads = 1024;
  static constexpr unsigned blocks_per_sm = 2;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const std::uint32_t& config,
                                    std::uint32_t& out) const {
    const std::uint32_t sum = group.sum(config);
    if (group.rank() == 0) out = sum;
  }
};

TEST_CASE("step: an SM has no room for as many blocks as the step says") {
  for (const Scope scope : {Scope::block, Scope::grid}) {
    ContextOptions options{.executor = ExecutorKind::resident, .scope = scope};
    options.workers = 2 * gpu_multiprocessors(options.device) - 1;
    auto ctx = make_context<std::uint32_t, std::uint32_t>(CrowdedStep{}, options);
    const std::uint32_t threads = scope == Scope::grid ? options.workers * 1024 : 1024;
    for (const auto& done : ctx.execute_batch(std::vector<std::uint32_t>(600, 3))) {
      CHECK(done.telemetry == 3 * threads);
    }
  }
}

}  // namespace aatgs::test
