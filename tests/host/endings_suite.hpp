// SPDX-License-Identifier: Apache-2.0
// How a context ends while its owner is busy with it, for real executors. Each function is the body
// of a test case; `make(memory, options)` gives a context on `memory.step()`.
#pragma once

#include <array>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "context_test_support.hpp"

namespace aatgs::test {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The equation of the accounting.
inline bool is_balanced(const ExecutionStatistics& s) {
  return s.submitted == s.completed + s.failed + s.dropped + s.in_flight &&
         s.in_flight <= s.submitted && s.dropped <= s.submitted && s.completed <= s.submitted;
}

/// Few workers and slots: few held configs fill them all.
inline ContextOptions crowded(ContextOptions options) {
  options.workers = 2;
  if (is_on_host(options.executor)) options.cpu_threads = 2;
  options.config_slots = 4;
  options.telemetry_slots = 64;
  options.queue_deadline = 1h;
  return options;
}

/// Queues configs that hold until there is no room for another; how many.
inline std::uint64_t fill_with_held(TestContext& ctx) {
  std::uint64_t count = 0;
  while (ctx.queue(hold_order(), 20ms)) ++count;
  return count;
}

inline bool is_closed(TestContext& ctx) {
  try {
    return ctx.try_queue(hash_order(0)).status == QueueStatus::closed;
  } catch (const UseError&) {
    return true;
  }
}

/// A call that the owner of a context may be in, or a loop of calls that never wait; returns when
/// the owner has found the context ended, or has nothing left to wait for.
struct OwnerCall {
  std::string name;
  std::function<void(TestContext&)> until_ended;
};

/// `held`: all workers are held and the rings are full.
inline std::vector<OwnerCall> owner_calls(bool held) {
  const auto open = [](TestContext& ctx) { return ctx.stats().in_flight > 0; };
  return {
      {"flush", [](TestContext& ctx) { static_cast<void>(ctx.flush(1h)); }},
      {"wait",
       [](TestContext& ctx) {
         while (ctx.wait(1h)) {
         }
       }},
      {"queue",
       [](TestContext& ctx) {
         while (ctx.queue(hash_order(0), 1h)) {
         }
       }},
      {"execute",
       [](TestContext& ctx) {
         for (;;) ctx.execute(hash_order(0));
       }},
      {"execute_batch",
       [](TestContext& ctx) {
         for (;;) ctx.execute_batch(std::vector<Order>(500));
       }},
      {"park", [](TestContext& ctx) { static_cast<void>(ctx.park(1h)); }},
      {"poll",
       [open](TestContext& ctx) {
         while (open(ctx)) {
           for (int i = 0; i < 1000; ++i) static_cast<void>(ctx.poll());
         }
       }},
      {"poll_many",
       [open](TestContext& ctx) {
         std::vector<Completion<Report>> out(8);
         while (open(ctx)) {
           for (int i = 0; i < 1000; ++i) static_cast<void>(ctx.poll_many(out));
         }
       }},
      {"try_queue",
       [](TestContext& ctx) {
         while (ctx.try_queue(hash_order(0)).status != QueueStatus::closed) {
         }
       }},
      {"shutdown(drain)",
       [held](TestContext& ctx) {
         // True, too, if the held step ended by the abort and nothing else was given up.
         const bool drained = ctx.shutdown(StopMode::drain, 1h);
         CHECK((held || drained));
         CHECK((!drained || ctx.stats().dropped == 0));
       }},
  };
}

/// `held`: whether the executor runs configs beside the caller, so that one can hold.
template <class Make>
void check_abort_from_another_thread(Make make, const ContextOptions& options, bool held = true) {
  for (const OwnerCall& call : owner_calls(held)) {
    CAPTURE(call.name);
    StepMemory memory(options);
    TestContext ctx = make(memory, crowded(options));
    if (held) REQUIRE(fill_with_held(ctx) > 0);
    const std::jthread other([&] {
      if (held) memory.wait_for_held(1);
      std::this_thread::sleep_for(2ms);
      ctx.request_abort();
    });
    try {
      call.until_ended(ctx);
    } catch (const UseError& error) {
      const std::string what = error.what();
      INFO(what);
      CHECK((contains(what, "ended") || contains(what, "shut down")));
    }
    CHECK(eventually([&] { return is_closed(ctx); }));
    CHECK(is_balanced(ctx.stats()));
    CHECK(ctx.shutdown(StopMode::abort, 10s));
    CHECK(memory.get(Word::aborted) == memory.get(Word::held));  // none waited for its own end
    CHECK(ctx.stats().in_flight == 0);
    CHECK(is_balanced(ctx.stats()));
  }
}

template <class Make>
void check_abort_before_anything(Make make, const ContextOptions& options) {
  StepMemory memory(options);
  TestContext ctx = make(memory, options);
  ctx.request_abort();
  ctx.request_abort();
  CHECK(ctx.try_queue(hash_order(0)).status == QueueStatus::closed);
  CHECK(ctx.queue(hash_order(0), 1h).status == QueueStatus::closed);
  CHECK_THROWS_AS(ctx.execute(hash_order(0)), UseError);
  CHECK_THROWS_AS(ctx.execute_batch(std::vector<Order>(20)), UseError);
  CHECK_FALSE(ctx.wait(1h));
  CHECK(ctx.flush(1h));
  CHECK(ctx.park(10s));
  CHECK(ctx.hang_report().empty());
  for (int i = 0; i < 40'000; ++i) REQUIRE_FALSE(ctx.poll());
  CHECK(ctx.shutdown(StopMode::drain, 10s));
  CHECK(ctx.stats().submitted == 0);
  CHECK(ctx.stats().config_overflows == 0);
}

template <class Make>
void check_polls_after_the_end(Make make, const ContextOptions& options) {
  for (const StopMode mode : {StopMode::drain, StopMode::abort}) {
    StepMemory memory(options);
    TestContext ctx = make(memory, options);
    for (std::uint64_t i = 0; i < 5; ++i) REQUIRE(ctx.queue(hash_order(i)));
    REQUIRE(ctx.shutdown(mode, 10s));
    const std::uint64_t completed = ctx.stats().completed;
    std::vector<Completion<Report>> out(2);
    std::uint64_t polled = 0;
    for (int i = 0; i < 20'000; ++i) {
      polled += ctx.poll() ? 1U : 0U;
      polled += ctx.poll_many(out);
      REQUIRE(ctx.try_queue(hash_order(0)).status == QueueStatus::closed);
      REQUIRE(ctx.try_queue_many(std::vector<Order>(1)).status == QueueStatus::closed);
    }
    CHECK(polled == completed);
    CHECK_FALSE(ctx.wait(1h));
    CHECK(ctx.flush(1h));
    CHECK(ctx.shutdown(mode, 10s));
  }
}

template <class Make>
void check_unwinding(Make make, const ContextOptions& options) {
  StepMemory memory(options);
  const auto unwind = [&] {
    TestContext ctx = make(memory, crowded(options));
    fill_with_held(ctx);
    memory.wait_for_held(1);
    throw std::runtime_error("of the user");
  };
  CHECK_THROWS_AS(unwind(), std::runtime_error);
  CHECK(memory.get(Word::held) > 0);
  CHECK(memory.get(Word::aborted) == memory.get(Word::held));
  CHECK(memory.get(Word::entered) == memory.get(Word::left));
}

/// `queued`: how it names configs that no worker has taken; empty if it cannot tell.
template <class Make>
void check_hang_report(Make make, ContextOptions options, const std::string& queued) {
  options.workers = 1;
  if (is_on_host(options.executor)) options.cpu_threads = 1;
  options.first_ticket = 40;
  StepMemory memory(options);
  TestContext ctx = make(memory, options);
  CHECK(ctx.hang_report().empty());
  for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(ctx.queue(hash_order(i)));
  REQUIRE(ctx.flush(10s));
  CHECK(ctx.hang_report().empty());
  REQUIRE(ctx.queue(hold_order()));
  REQUIRE(memory.wait_for_held(1));
  CHECK(ctx.hang_report() == "1 config taken and in the step (ticket 43)");
  for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(ctx.queue(hash_order(i)));
  const std::string report = ctx.hang_report();
  CHECK(contains(report, "taken and in the step (ticket"));
  CHECK(contains(report, " 43"));
  CHECK(contains(report, ", ...)"));
  CHECK(contains(report, queued));
  memory.set(Word::gate, 1);
  REQUIRE(ctx.flush(10s));
  CHECK(ctx.hang_report().empty());
}

/// The config that hangs has long given its slot to another.
template <class Make>
void check_hang_report_of_small_rings(Make make, ContextOptions options) {
  const bool is_buffered = options.executor == ExecutorKind::triple_buffer ||
                           options.executor == ExecutorKind::cpu_triple_buffer;
  if (options.scope == Scope::grid || is_buffered) return;  // nothing passes a config there
  options = crowded(options);
  StepMemory memory(options);
  TestContext ctx = make(memory, options);
  REQUIRE(ctx.queue(hold_order()));
  REQUIRE(memory.wait_for_held(1));
  for (std::uint64_t i = 0; i < 30; ++i) {
    REQUIRE(ctx.queue(hash_order(i)));
    REQUIRE(ctx.wait(10s));
  }
  CHECK(ctx.hang_report() == "1 config taken and in the step (ticket 0)");
}

}  // namespace aatgs::test
