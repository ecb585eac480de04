// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
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

/// The tickets from `first` on, shuffled.
std::vector<std::uint64_t> in_disorder(std::uint64_t first, std::uint64_t count) {
  std::vector<std::uint64_t> tickets(count);
  std::iota(tickets.begin(), tickets.end(), first);
  std::shuffle(tickets.begin(), tickets.end(), std::mt19937_64(count));
  return tickets;
}

/// What is wrong with a batch that has been collected whole.
std::uint64_t count_wrong(const std::vector<Done>& batch, std::uint64_t first) {
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < batch.size(); ++i) {
    const bool right = batch[i].ticket == first + i && batch[i].taken_ns == first + i &&
                       batch[i].telemetry == Telemetry::of(first + i);
    if (!right) ++wrong;
  }
  return wrong;
}

TEST_CASE("completion reader: one of a batch is lost, read twice, or put into another's place") {
  for (const std::uint32_t slots : test::ring_sizes) {
    for (const std::uint64_t first : test::first_tickets) {
      for (const std::uint32_t looks : {1U, Reader::patient_looks + 2}) {  // without and with later
        CAPTURE(slots);
        CAPTURE(first);
        CAPTURE(looks);
        Owned owned(slots, first, TelemetryPolicy::block);
        Reader reader(owned.ring, first, slots);
        std::uint64_t begin = first;
        for (const std::uint32_t count : {slots, 1U, slots, (slots + 1) / 2}) {
          std::vector<Done> batch(count);
          std::size_t collected = 0;
          for (const std::uint64_t t : in_disorder(begin, count)) {
            owned.publish(t);
            for (std::uint32_t i = 0; i < looks; ++i) {
              collected += reader.read_into(begin, begin + count, batch);
            }
          }
          CHECK(collected == count);
          CHECK(reader.read_into(begin, begin + count, batch) == 0);
          CHECK(count_wrong(batch, begin) == 0);
          begin += count;
          CHECK(reader.collected_count() == begin - first);
        }
        Done done;  // and on in the other way
        owned.publish(begin);
        CHECK(reader.try_read(begin + 1, done));
        CHECK(done.ticket == begin);
      }
    }
  }
}

TEST_CASE("completion reader: a long step leaves the rest of its batch for its own end") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    Owned owned(64, first, TelemetryPolicy::block);
    Reader reader(owned.ring, first, 64);
    std::vector<Done> batch(64);
    for (std::uint64_t t = first; t < first + 64; ++t) {
      if (t != first + 5 && t != first + 40) owned.publish(t);
    }
    CHECK(reader.read_into(first, first + 64, batch) == 5);
    std::size_t later = 0;
    for (std::uint32_t i = 0; i < Reader::patient_looks + 64; ++i) {
      later += reader.read_into(first, first + 64, batch);
    }
    CHECK(later == 57);
    owned.publish(first + 5);
    CHECK(reader.read_into(first, first + 64, batch) == 1);
    owned.publish(first + 40);
    CHECK(reader.read_into(first, first + 64, batch) == 1);
    CHECK(count_wrong(batch, first) == 0);
  }
}

TEST_CASE("completion reader: a batch is torn, or one of it lost, while workers publish it") {
  constexpr std::uint32_t slots = 64;
  Owned owned(slots, 0, TelemetryPolicy::block, 2);
  Reader reader(owned.ring, 0, slots);
  std::uint64_t wrong = 0;
  for (std::uint64_t first = 0; first < 100 * slots; first += slots) {
    const std::vector<std::uint64_t> order = in_disorder(first, slots);
    const auto work = [&](std::uint32_t worker) {
      for (std::uint32_t i = worker; i < slots; i += 2) owned.publish(order[i], worker);
    };
    const std::jthread workers[] = {std::jthread(work, 0), std::jthread(work, 1)};
    std::vector<Done> batch(slots);
    for (std::size_t collected = 0; collected < slots;) {
      const std::size_t found = reader.read_into(first, first + slots, batch);
      if (found == 0) std::this_thread::yield();
      collected += found;
    }
    wrong += count_wrong(batch, first);
  }
  CHECK(wrong == 0);
}

TEST_CASE("completion reader: it reads a ticket that was never queued") {
  Owned owned(4, 0, TelemetryPolicy::block);
  Reader reader(owned.ring, 0, 4);
  owned.publish(0);
  owned.publish(1);
  Done done;
  CHECK_FALSE(reader.try_read(0, done));
  CHECK(reader.read_into(0, 0, std::span(&done, 1)) == 0);
  CHECK(read_all(reader, 1, 4) == std::vector<std::uint64_t>{0});
  CHECK(read_all(reader, 2, 4) == std::vector<std::uint64_t>{1});
}

TEST_CASE("completion reader: a batch gets the tickets of its ring, or only in order the users'") {
  Owned owned(64, 0, TelemetryPolicy::block);
  Reader reader(owned.ring, 0, 64);
  const std::uint64_t ahead = 1'000'000;
  for (std::uint64_t t = 0; t < 64; ++t) {
    if (t != 5) owned.publish(t);
  }
  std::vector<Done> batch(64);
  for (std::uint32_t i = 0; i < Reader::patient_looks + 64; ++i) {
    (void)reader.read_into(0, 64, batch, ahead);
  }
  owned.publish(5);
  CHECK(reader.read_into(0, 64, batch, ahead) == 1);
  for (std::uint64_t t = 0; t < 64; ++t) CHECK(batch[t].ticket == ahead + t);
  CHECK(reader.collected_count() == 64);
}

TEST_CASE("completion reader: one that is still being written is read") {
  constexpr std::uint32_t granules = MessageBuffer<CompletionRecord<Telemetry>>::granules;
  for (const bool last_first : {false, true}) {
    CAPTURE(last_first);
    Owned owned(2, 0, TelemetryPolicy::block);
    Reader reader(owned.ring, 0, 1);
    Owned source(2, 0, TelemetryPolicy::block);
    source.publish(0);
    Done done;
    for (std::uint32_t i = 0; i < granules; ++i) {
      CHECK_FALSE(reader.try_read(1, done));
      CHECK(reader.read_into(0, 1, std::span(&done, 1)) == 0);
      const std::uint32_t next = last_first ? granules - 1 - i : i;
      owned.granules[next] = source.granules[next];
    }
    CHECK((last_first ? reader.try_read(1, done) : reader.read_into(0, 1, {&done, 1}) == 1));
    CHECK(done.telemetry == Telemetry::of(0));
  }
}

TEST_CASE("completion reader: rubbish under a lap that no queued ticket has is read as telemetry") {
  for (const auto policy :
       {TelemetryPolicy::block, TelemetryPolicy::drop_newest, TelemetryPolicy::overwrite_oldest}) {
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
        Done done;
        CHECK(reader.read_into(first, first + 1, std::span(&done, 1)) == 0);
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
