// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <set>
#include <thread>

#include "ring_test_support.hpp"

namespace aatgs {
namespace {

using Telemetry = test::Bytes<60>;
using Owned = test::OwnedTelemetryRing<Telemetry>;
using Reader = CompletionReader<Telemetry>;
using Done = Completion<Telemetry>;

/// Reads until nothing more turns up; the tickets in the order in which they came. Checks each.
std::vector<std::uint64_t> read_all(Reader& reader, std::uint64_t end, std::uint32_t slots) {
  std::vector<std::uint64_t> tickets;
  Done done;
  for (std::uint32_t in_vain = 0; in_vain <= slots; ++in_vain) {
    if (!reader.try_read(end, done)) continue;
    CHECK(done.telemetry == Telemetry::of(done.ticket));
    CHECK(done.taken_ns == done.ticket);
    tickets.push_back(done.ticket);
    in_vain = 0;
  }
  return tickets;
}

std::set<std::uint64_t> as_set(const std::vector<std::uint64_t>& tickets) {
  const std::set<std::uint64_t> set(tickets.begin(), tickets.end());
  CHECK(set.size() == tickets.size());  // none twice
  return set;
}

TEST_CASE("completion reader: a completion is lost where the ring or a lap wraps") {
  for (const std::uint32_t slots : test::ring_sizes) {
    for (const std::uint64_t first : test::first_tickets) {
      CAPTURE(slots);
      CAPTURE(first);
      Owned owned(slots, first, TelemetryPolicy::block);
      Reader reader(owned.ring, first, 1);
      std::uint64_t wrong = 0;
      Done done;
      for (std::uint64_t t = first; t < first + 40; ++t) {
        if (!reader.slot_is_free(t)) ++wrong;
        if (reader.try_read(t + 1, done)) ++wrong;
        owned.publish(t);
        if (reader.slot_is_free(t + slots)) ++wrong;
        if (!reader.try_read(t + 1, done) || done.ticket != t) ++wrong;
        if (!(done.telemetry == Telemetry::of(t))) ++wrong;
        if (!reader.slot_is_free(t + slots)) ++wrong;
      }
      CHECK(wrong == 0);
      CHECK(reader.collected_count() == 40);
    }
  }
}

TEST_CASE("completion reader: a long-running config hides the finished ones behind it") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    Owned owned(64, first, TelemetryPolicy::block);
    Reader reader(owned.ring, first, 4);
    // Four workers; the one that has the first ticket runs on while the others do all the rest.
    std::set<std::uint64_t> expected;
    for (std::uint64_t t = first + 1; t < first + 64; ++t) {
      owned.publish(t);
      expected.insert(t);
    }
    CHECK(as_set(read_all(reader, first + 64, 64)) == expected);
    owned.publish(first);
    CHECK(read_all(reader, first + 64, 64) == std::vector{first});
  }
}

TEST_CASE("completion reader: a completion is not found as soon as it is there") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    Owned owned(16, first, TelemetryPolicy::block);
    Reader reader(owned.ring, first, 4);
    for (const std::uint64_t i : {3, 1, 2, 5, 0, 6, 4, 9, 8, 10, 7, 11}) {  // at most 4 run at once
      owned.publish(first + i);
      CHECK(read_all(reader, first + 12, 16) == std::vector{first + i});
    }
    CHECK(read_all(reader, first + 12, 16).empty());
  }
}

TEST_CASE("completion reader: it reads a ticket that was never queued") {
  Owned owned(4, 0, TelemetryPolicy::block);
  Reader reader(owned.ring, 0, 4);
  owned.publish(0);
  owned.publish(1);
  Done done;
  CHECK_FALSE(reader.try_read(0, done));
  CHECK(read_all(reader, 1, 4) == std::vector<std::uint64_t>{0});
  CHECK(read_all(reader, 2, 4) == std::vector<std::uint64_t>{1});
}

TEST_CASE("completion reader: one that is still being written is read") {
  using Record = CompletionRecord<Telemetry>;
  Owned owned(2, 0, TelemetryPolicy::block);
  Reader reader(owned.ring, 0, 1);
  Owned source(2, 0, TelemetryPolicy::block);
  source.publish(0);
  Done done;
  for (std::uint32_t i = 0; i < MessageBuffer<Record>::granules; ++i) {
    CHECK_FALSE(reader.try_read(1, done));
    owned.granules[i] = source.granules[i];
  }
  CHECK(reader.try_read(1, done));
  CHECK(done.telemetry == Telemetry::of(0));
}

TEST_CASE("completion reader: rubbish under a lap that no queued ticket has is read as telemetry") {
  for (const auto policy : {TelemetryPolicy::block, TelemetryPolicy::drop_newest,
                            TelemetryPolicy::overwrite_oldest}) {
    for (const std::uint64_t first : test::first_tickets) {
      CAPTURE(first);
      Owned owned(4, first, policy);
      Reader reader(owned.ring, first, 4);
      const std::uint32_t slot = owned.shape.slot_of(first);
      const std::uint32_t lap = owned.shape.lap_of(first);
      for (const std::uint32_t wrong : {lap + 1, lap + 0x7FFF'FFFFU, lap - 2, lap + 0x8000'0000U}) {
        for (std::uint32_t i = 0; i < owned.shape.granules; ++i) {
          owned.granules[slot * owned.shape.granules + i] = Granule::make(1, 2, 3, wrong);
        }
        CHECK(read_all(reader, first + 1, 4).empty());
      }
      owned.publish(first);
      CHECK(read_all(reader, first + 1, 4) == std::vector{first});
      CHECK(reader.overwritten() == 0);
    }
  }
}

TEST_CASE("completion reader: the number of unread completions is wrong") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    Owned owned(8, first, TelemetryPolicy::block);
    Reader reader(owned.ring, first, 8);
    CHECK(reader.unread(first, true) == 0);
    CHECK(reader.unread(first + 8, true) == 0);
    for (std::uint64_t t = first; t < first + 5; ++t) owned.publish(t);
    CHECK(reader.unread(first + 8, true) == 5);
    CHECK(reader.unread(first + 8, false) == 5);
    owned.publish(first + 7);
    CHECK(reader.unread(first + 8, true) == 6);
    Done done;
    REQUIRE(reader.try_read(first + 8, done));
    CHECK(reader.unread(first + 8, true) == 5);
    owned.publish(first + 5);
    owned.publish(first + 6);
    CHECK(reader.unread(first + 8, true) == 7);
    CHECK(reader.unread(first + 8, false) == 7);
  }
}

TEST_CASE("telemetry ring: drop_newest overwrites, or does not count what it drops") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    Owned owned(4, first, TelemetryPolicy::drop_newest);
    Reader reader(owned.ring, first, 4);
    for (std::uint64_t t = first; t < first + 11; ++t) owned.publish(t, t % 4);
    CHECK(owned.finished() == 11);
    CHECK(owned.dropped() == 7);
    CHECK(as_set(read_all(reader, first + 11, 4)) ==
          std::set{first, first + 1, first + 2, first + 3});
    owned.publish(first + 13);  // out of order, over slots that are free again
    owned.publish(first + 12);
    owned.publish(first + 11);
    CHECK(owned.dropped() == 7);
    CHECK(as_set(read_all(reader, first + 14, 4)) == std::set{first + 11, first + 12, first + 13});
    CHECK(reader.collected_count() + owned.dropped() == owned.finished());
  }
}

TEST_CASE("telemetry ring: overwrite_oldest drops the newest, or does not count what is lost") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    Owned owned(4, first, TelemetryPolicy::overwrite_oldest);
    Reader reader(owned.ring, first, 4);
    for (std::uint64_t t = first; t < first + 11; ++t) owned.publish(t, t % 4);
    CHECK(owned.finished() == 11);
    CHECK(as_set(read_all(reader, first + 11, 4)) ==
          std::set{first + 7, first + 8, first + 9, first + 10});
    CHECK(reader.overwritten() == 7);
    CHECK(reader.collected_count() + reader.overwritten() == owned.finished());
  }
}

TEST_CASE("telemetry ring: a slow worker overwrites a newer completion with an older one") {
  for (const auto policy : {TelemetryPolicy::overwrite_oldest, TelemetryPolicy::drop_newest}) {
    Owned owned(2, 0, policy);
    Reader reader(owned.ring, 0, 4);
    owned.publish(0);
    owned.publish(1);
    CHECK(read_all(reader, 2, 2).size() == 2);
    owned.publish(5);
    owned.publish(3);  // the lap before
    CHECK(read_all(reader, 6, 2) == std::vector<std::uint64_t>{5});
    owned.publish(2);
    owned.publish(4);
    CHECK(owned.finished() == 6);
    read_all(reader, 6, 2);
    const std::uint64_t lost =
        policy == TelemetryPolicy::drop_newest ? owned.dropped() : reader.overwritten();
    CHECK(reader.collected_count() + lost == 6);
  }
}

/// Two workers publish `count` completions as fast as they can while this thread reads.
void check_racing_workers(TelemetryPolicy policy, std::uint32_t slots) {
  constexpr std::uint64_t count = 30'000;
  Owned owned(slots, 0, policy, 2);
  Reader reader(owned.ring, 0, 2);
  std::atomic<std::uint64_t> next_claim = 0;
  const auto work = [&](std::uint32_t worker) {
    for (std::uint64_t t = next_claim++; t < count; t = next_claim++) {
      if (t % 7 == 0) std::this_thread::yield();
      owned.publish(t, worker);
    }
  };
  std::jthread workers[] = {std::jthread(work, 0), std::jthread(work, 1)};
  std::vector<bool> seen(count);
  std::uint64_t wrong = 0;
  const auto read_some = [&] {
    Done done;
    while (reader.try_read(count, done)) {
      if (done.ticket >= count || seen[done.ticket]) {
        ++wrong;
        continue;
      }
      seen[done.ticket] = true;
      if (!(done.telemetry == Telemetry::of(done.ticket))) ++wrong;
    }
  };
  while (owned.finished() < count) {
    read_some();
    std::this_thread::yield();
  }
  for (std::uint32_t i = 0; i <= slots; ++i) read_some();
  CHECK(wrong == 0);
  const std::uint64_t lost =
      policy == TelemetryPolicy::drop_newest ? owned.dropped() : reader.overwritten();
  CHECK(reader.collected_count() + lost == count);
}

TEST_CASE("telemetry ring: racing workers and reader tear, double or miscount completions") {
  for (const std::uint32_t slots : {1U, 2U, 8U}) {
    CAPTURE(slots);
    check_racing_workers(TelemetryPolicy::overwrite_oldest, slots);
    check_racing_workers(TelemetryPolicy::drop_newest, slots);
  }
}

}  // namespace
}  // namespace aatgs
