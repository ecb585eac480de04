// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_context.hpp>
#include <set>
#include <utility>
#include <vector>

namespace aatgs {
namespace {

struct Copy {
  template <class Group>
  void operator()(Group& group, const std::uint32_t& in, std::uint32_t& out) const {
    group.sync();
    if (group.rank() == 0) out = in;
  }
};

using Context = GpuExecutionContext<std::uint32_t, std::uint32_t>;

Context make(const ContextOptions& options) {
  return make_cpu_context<std::uint32_t, std::uint32_t>(Copy{}, options);
}

TEST_CASE("worker events: those of a config are not there when its completion is, in block scope") {
  Context context = make({.cpu_threads = 2, .event_slots = 1024});
  for (std::uint32_t i = 0; i < 500; ++i) {
    REQUIRE(context.queue(i));
    const auto done = context.wait(std::chrono::seconds(20));
    REQUIRE(done);
    const WorkerEvents events = context.read_events();
    CHECK(events.dropped == 0);
    REQUIRE(events.events.size() == 1);
    const WorkerEvent& event = events.events.front();
    CHECK(event.kind == EventKind::config);
    CHECK(event.worker < 2);
    CHECK(event.unit == event.worker);
    CHECK(event.ticket == i);
    CHECK(event.taken_ns == done->taken_ns);
    CHECK(event.started_ns == done->started_ns);
    CHECK(event.finished_ns == done->finished_ns);
  }
}

TEST_CASE("worker events: a thread's part of a config is missing in grid scope") {
  Context context = make({.scope = Scope::grid, .cpu_threads = 3, .event_slots = 4096});
  const std::vector<std::uint32_t> configs(200, 1);
  const auto done = context.execute_batch(configs);
  const WorkerEvents events = context.read_events();
  CHECK(events.dropped == 0);
  CHECK(events.events.size() == 200 * 3);
  std::set<std::pair<std::uint32_t, std::uint64_t>> seen;
  std::size_t wrong = 0;
  for (const WorkerEvent& e : events.events) {
    if (e.worker >= 3 || !seen.insert({e.worker, e.ticket}).second) ++wrong;
    const auto& of_all = done.at(e.ticket);
    if (e.taken_ns != 0 || e.started_ns < of_all.taken_ns || e.started_ns > e.finished_ns ||
        e.finished_ns > of_all.finished_ns) {
      ++wrong;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("worker events: a full ring loses count, or stops the configs") {
  Context context = make({.cpu_threads = 2, .event_slots = 1024});
  const std::vector<std::uint32_t> configs(5000, 1);
  CHECK(context.execute_batch(configs).size() == 5000);
  WorkerEvents events = context.read_events();
  CHECK(events.events.size() <= 1024);
  CHECK(events.events.size() >= 512);
  CHECK(events.events.size() + events.dropped == 5000);
  events = context.read_events();
  CHECK(events.events.empty());
  CHECK(events.dropped == 0);
}

TEST_CASE("worker events: some come without being asked for, or with slots that cannot be") {
  Context context = make({.cpu_threads = 1});
  CHECK(context.execute_batch(std::vector<std::uint32_t>(10, 1)).size() == 10);
  CHECK(context.read_events().events.empty());
  for (const std::uint32_t slots : {1U, 512U, 1025U, 1U << 27, ~0U}) {
    CHECK_THROWS_AS(make({.cpu_threads = 1, .event_slots = slots}), OptionError);
  }
}

}  // namespace
}  // namespace aatgs
