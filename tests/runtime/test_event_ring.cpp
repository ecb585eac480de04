// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/event_ring_memory.hpp>
#include <map>
#include <set>
#include <thread>
#include <vector>

namespace aatgs {
namespace {

std::uint64_t time_of(std::uint32_t worker, std::uint64_t i) {
  return (i * 7 + worker) * 0x9E37'79B9'7F4A'7C15ULL;
}

void note(const EventRing& ring, std::uint32_t worker, std::uint64_t i) {
  note_event(ring, {i, time_of(worker, i), i + 1, i + 2, EventKind::config,
                    static_cast<std::uint16_t>(i), worker});
}

/// What is wrong with the events of `workers`, which noted `each` from 0 on.
std::uint64_t wrong_events(const WorkerEvents& got, std::uint32_t workers, std::uint64_t each) {
  std::uint64_t wrong = 0;
  std::set<std::pair<std::uint32_t, std::uint64_t>> seen;
  for (const WorkerEvent& e : got.events) {
    const bool whole = e.worker < workers && e.ticket < each &&
                       e.taken_ns == time_of(e.worker, e.ticket) && e.started_ns == e.ticket + 1 &&
                       e.finished_ns == e.ticket + 2 && e.kind == EventKind::config &&
                       e.unit == static_cast<std::uint16_t>(e.ticket);
    if (!whole || !seen.insert({e.worker, e.ticket}).second) ++wrong;
  }
  if (seen.size() + got.dropped != workers * each) ++wrong;
  return wrong;
}

TEST_CASE("event ring: an event is lost, doubled or torn while workers write and the host reads") {
  constexpr std::uint32_t workers = 4;
  constexpr std::uint64_t each = 20'000;
  for (const std::uint32_t slots : {128U, 1U << 18}) {
    CAPTURE(slots);
    EventRingMemory memory(MemoryKind::host, slots, workers, 0);
    std::atomic<std::uint32_t> ended = 0;
    std::vector<std::jthread> threads;
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&, worker, ring = memory.ring()] {
        for (std::uint64_t i = 0; i < each; ++i) note(ring, worker, i);
        ++ended;
      });
    }
    WorkerEvents got;
    while (ended != workers) memory.read(got);
    memory.read(got);
    CHECK(wrong_events(got, workers, each) == 0);
    CHECK((got.dropped == 0) == (slots != 128));
    CHECK_FALSE(got.events.empty());
  }
}

TEST_CASE("event ring: what a worker without work has begun holds up the others") {
  EventRingMemory memory(MemoryKind::host, 128, 3, 0);
  const EventRing ring = memory.ring();
  WorkerEvents got;
  note(ring, 0, 0);
  note(ring, 2, 0);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    note(ring, 1, i);
    memory.read(got);
  }
  CHECK(got.dropped == 0);
  CHECK(got.events.size() == 1002);
  note(ring, 0, 1);
  note(ring, 2, 1);
  got = {};
  memory.read(got);
  CHECK(got.events.size() == 2);
}

TEST_CASE("event ring: a ring that was full stays so, or overwrites what is unread") {
  EventRingMemory memory(MemoryKind::host, 64, 1, 0);
  const EventRing ring = memory.ring();
  for (std::uint64_t round = 0; round < 5; ++round) {
    WorkerEvents got;
    for (std::uint64_t i = 0; i < 100; ++i) note(ring, 0, 100 * round + i);
    memory.read(got);
    CAPTURE(round);
    CHECK(got.events.size() + got.dropped == 100);
    REQUIRE(got.events.size() >= 32);
    CHECK(got.dropped >= 36);
    const std::uint64_t first = got.events.front().ticket;
    for (std::size_t i = 0; i < 32; ++i) CHECK(got.events[i].ticket == first + i);
  }
}

TEST_CASE("event ring: a lap is taken for another one where its number has no more bits") {
  EventRingMemory memory(MemoryKind::host, 64, 1, 0);
  const EventRing ring = memory.ring();
  ring.state->claims = (std::uint64_t{1} << 33) - 6;  // laps to 2^32
  WorkerEvents got;
  for (std::uint64_t i = 0; i < 160; ++i) {
    note(ring, 0, i);
    memory.read(got);
  }
  CHECK(wrong_events(got, 1, 160) == 0);
  CHECK(got.dropped == 0);
}

}  // namespace
}  // namespace aatgs
