// SPDX-License-Identifier: Apache-2.0
// What the workers of a resident kernel write of what they do.
#include <aatgs/host/make_context.cuh>
#include <algorithm>
#include <map>
#include <set>

#include "../brief.hpp"
#include "../host/context_test_support.hpp"

namespace aatgs::test {
namespace {

struct Tick {
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const std::uint32_t& in,
                                    std::uint32_t& out) const {
    group.sync();
    if (group.rank() == 0) out = in + 1;
  }
};

using Context = GpuExecutionContext<std::uint32_t, std::uint32_t>;
using Done = Completion<std::uint32_t>;

constexpr auto patience = std::chrono::seconds(10);

Context make(const ContextOptions& options) {
  return make_context<std::uint32_t, std::uint32_t>(Tick{}, options);
}

struct Run {
  std::map<std::uint64_t, Done> done;  // by ticket
  WorkerEvents events;
};

/// Runs `count` configs, 100 in flight; asks for the events every `read_every` configs, and in the
/// end.
Run run(Context& context, std::uint32_t count, std::uint32_t read_every) {
  Run run;
  const auto add_events = [&] {
    const WorkerEvents more = context.read_events();
    run.events.events.insert(run.events.events.end(), more.events.begin(), more.events.end());
    run.events.dropped += more.dropped;
  };
  std::uint32_t queued = 0;
  while (run.done.size() < count) {
    while (queued < count && queued < run.done.size() + 100 && context.try_queue(queued)) ++queued;
    const auto done = context.wait(patience);
    REQUIRE(done);
    run.done[done->ticket] = *done;
    if (run.done.size() % read_every == 0) add_events();
  }
  add_events();
  return run;
}

std::vector<WorkerEvent> of_kind(const WorkerEvents& events, EventKind kind) {
  std::vector<WorkerEvent> some;
  for (const WorkerEvent& e : events.events) {
    if (e.kind == kind) some.push_back(e);
  }
  return some;
}

/// How many follow one another so that the second begins before the first has ended.
std::size_t overlaps(std::vector<WorkerEvent> events) {
  std::sort(events.begin(), events.end(), [](const WorkerEvent& a, const WorkerEvent& b) {
    return std::pair(a.worker, a.started_ns) < std::pair(b.worker, b.started_ns);
  });
  std::size_t count = 0;
  for (std::size_t i = 1; i < events.size(); ++i) {
    const bool same = events[i].worker == events[i - 1].worker;
    if (same && events[i].started_ns < events[i - 1].finished_ns) ++count;
  }
  return count;
}

TEST_CASE("event ring on a GPU: an event is lost, torn or another config's, in block scope") {
  const Watchdog watchdog("event ring, block scope");
  const std::uint32_t sms = gpu_multiprocessors(0);
  const auto count = brief_or<std::uint32_t>(500, 20'000);
  Context context = make({.executor = ExecutorKind::resident, .event_slots = 1U << 16});
  const Run all = run(context, count, 3000);
  CHECK(all.events.dropped == 0);
  const auto events = of_kind(all.events, EventKind::config);
  CHECK(events.size() == count);
  std::set<std::uint64_t> tickets;
  std::size_t wrong = 0;
  for (const WorkerEvent& e : events) {
    const auto done = all.done.find(e.ticket);
    if (done == all.done.end() || !tickets.insert(e.ticket).second || e.unit >= sms ||
        e.taken_ns != done->second.taken_ns || e.started_ns != done->second.started_ns ||
        e.finished_ns != done->second.finished_ns) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
  CHECK(overlaps(events) == 0);
}

TEST_CASE("event ring on a GPU: a block's part of a config is missing in grid scope") {
  const Watchdog watchdog("event ring, grid scope");
  constexpr std::uint32_t workers = 16;
  const auto count = brief_or<std::uint32_t>(100, 2000);
  Context context = make({.executor = ExecutorKind::resident,
                          .scope = Scope::grid,
                          .workers = workers,
                          .event_slots = 1U << 16});
  const Run all = run(context, count, 500);
  CHECK(all.events.dropped == 0);
  const auto events = of_kind(all.events, EventKind::config);
  CHECK(events.size() == std::size_t{count} * workers);
  std::set<std::pair<std::uint32_t, std::uint64_t>> seen;
  std::size_t wrong = 0;
  for (const WorkerEvent& e : events) {
    const auto done = all.done.find(e.ticket);
    if (e.worker >= workers || done == all.done.end() ||
        !seen.insert({e.worker, e.ticket}).second || e.started_ns < done->second.taken_ns ||
        e.finished_ns < e.started_ns || e.finished_ns > done->second.finished_ns) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
  CHECK(overlaps(events) == 0);
}

TEST_CASE("event ring on a GPU: a park loses events, or the kernel's stays are not told") {
  for (const Scope scope : {Scope::block, Scope::grid}) {
    const Watchdog watchdog("event ring, parks");
    CAPTURE(to_string(scope));
    Context context = make(
        {.executor = ExecutorKind::resident, .scope = scope, .workers = 4, .event_slots = 1024});
    WorkerEvents events;
    for (std::uint32_t launch = 0; launch < 3; ++launch) {
      for (std::uint32_t i = 0; i < 10; ++i) {
        REQUIRE(context.queue(i));
        REQUIRE(context.wait(patience));
      }
      REQUIRE(context.park(patience));
      const WorkerEvents more = context.read_events();
      events.events.insert(events.events.end(), more.events.begin(), more.events.end());
      CHECK(more.dropped == 0);
    }
    CHECK(of_kind(events, EventKind::config).size() == (scope == Scope::block ? 30 : 120));
    auto stays = of_kind(events, EventKind::presence);
    REQUIRE(stays.size() == context.stats().parks + 1);
    std::sort(stays.begin(), stays.end(), [](const WorkerEvent& a, const WorkerEvent& b) {
      return a.started_ns < b.started_ns;
    });
    for (std::size_t i = 0; i < stays.size(); ++i) {
      CHECK(stays[i].ticket == i);
      CHECK(stays[i].started_ns < stays[i].finished_ns);
      if (i > 0) CHECK(stays[i].started_ns > stays[i - 1].finished_ns);
    }
  }
}

TEST_CASE("event ring on a GPU: a full ring loses count, holds up the kernel, or stays full") {
  const Watchdog watchdog("event ring, full");
  const auto count = brief_or<std::uint32_t>(5000, 20'000);
  Context context = make({.executor = ExecutorKind::resident, .workers = 8, .event_slots = 1024});
  for (int round = 0; round < 2; ++round) {
    const Run all = run(context, count, count + 1);
    CHECK(all.events.dropped > 0);
    CHECK(all.events.events.size() >= 512);
    CHECK(of_kind(all.events, EventKind::config).size() + all.events.dropped >= count - 2);
    CHECK(all.events.events.size() + all.events.dropped <= count + 2);
  }
}

TEST_CASE("event ring on a GPU: events come that nobody asked for") {
  const Watchdog watchdog("event ring, off");
  Context context = make({.executor = ExecutorKind::resident});
  const Run all = run(context, 100, 50);
  CHECK(all.events.events.empty());
  CHECK(all.events.dropped == 0);
}

/// Median ns from a queue to its completion.
double closed_loop(Scope scope, std::uint32_t event_slots) {
  Context context =
      make({.executor = ExecutorKind::resident, .scope = scope, .event_slots = event_slots});
  std::vector<double> ns;
  for (std::uint32_t i = 0; i < brief_or<std::uint32_t>(200, 20'000); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(context.queue(i));
    REQUIRE(context.wait(patience));
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
    if (i >= 100) ns.push_back(taken.count());
    if (event_slots != 0 && i % 64 == 0 && scope == Scope::grid) (void)context.read_events();
    if (event_slots != 0 && i % 8192 == 0) (void)context.read_events();
  }
  std::nth_element(ns.begin(), ns.begin() + ns.size() / 2, ns.end());
  return ns[ns.size() / 2];
}

TEST_CASE("event ring on a GPU: what it costs") {  // for a person to read: no bound
  const Watchdog watchdog("event ring, costs");
  for (const Scope scope : {Scope::block, Scope::grid}) {
    const double off = closed_loop(scope, 0);
    const double on = closed_loop(scope, 1U << 16);
    MESSAGE(std::string(to_string(scope))
            << " scope, closed loop: " << off << " ns off, " << on << " ns on");
  }
}

}  // namespace
}  // namespace aatgs::test
