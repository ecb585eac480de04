// SPDX-License-Identifier: Apache-2.0
// Rings that own their memory, and messages that show every torn byte.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/runtime/completion_reader.hpp>
#include <aatgs/runtime/config_ring.hpp>
#include <cstdint>
#include <cstring>
#include <vector>

namespace aatgs::test {

/// Bytes that all follow from one number.
template <std::size_t Size>
struct Bytes {
  unsigned char byte[Size];

  static Bytes of(std::uint64_t seed) {
    Bytes result{};
    for (std::size_t i = 0; i < Size; ++i) {
      const std::uint64_t mixed = (seed + 1) * 0x9E37'79B9'7F4A'7C15U + i * 0x94D0'49BB'1331'11EBU;
      result.byte[i] = static_cast<unsigned char>(mixed >> 56);
    }
    return result;
  }
  friend bool operator==(const Bytes& a, const Bytes& b) {
    return std::memcmp(a.byte, b.byte, Size) == 0;
  }
};

/// Rings of every kind of size, and tickets at which some word of the arithmetic overflows.
inline constexpr std::uint32_t ring_sizes[] = {1, 2, 4, 8, 64};
inline constexpr std::uint64_t first_tickets[] = {0,
                                                  7,
                                                  (1ULL << 32) - 5,
                                                  (1ULL << 33) - 5,
                                                  (1ULL << 34) - 5,
                                                  (1ULL << 35) - 5,
                                                  (1ULL << 38) - 5,
                                                  (1ULL << 63) - 5};

template <class Config>
struct OwnedConfigRing {
  OwnedConfigRing(std::uint32_t slots, std::uint64_t first_ticket)
      : shape(RingShape::make(slots, MessageBuffer<Config>::granules)),
        granules(shape.total_granules()),
        taken(slots),
        ring{granules.data(), taken.data(), shape} {
    ring.prepare(first_ticket);
  }

  RingShape shape;
  std::vector<Granule> granules;
  std::vector<std::uint32_t> taken;
  ConfigRing ring;
};

/// Takes the config of `ticket` and gives the slot back. False: it is not there.
template <class Config>
bool take(const ConfigRing& ring, std::uint64_t ticket, Config& out) {
  MessageBuffer<Config> buffer;
  if (!take_config(SingleLane{}, ring, ticket, buffer.words())) return false;
  std::memcpy(&out, buffer.words(), sizeof(Config));
  mark_taken(ring, ticket);
  return true;
}

template <class Telemetry>
struct OwnedTelemetryRing {
  using Record = CompletionRecord<Telemetry>;

  OwnedTelemetryRing(std::uint32_t slots, std::uint64_t first_ticket, TelemetryPolicy policy,
                     std::uint32_t workers = 4)
      : shape(RingShape::make(slots, MessageBuffer<Record>::granules)),
        granules(shape.total_granules()),
        seen(slots),
        guards(slots),
        counters(workers),
        ring{granules.data(), seen.data(), guards.data(), counters.data(), shape, policy} {
    ring.prepare(first_ticket);
    for (std::uint32_t i = 0; i < slots; ++i) guards[i] = {0, shape.lap_before(i, first_ticket)};
  }

  /// Publishes telemetry made from the ticket, as `worker` does.
  void publish(std::uint64_t ticket, std::uint32_t worker = 0) {
    MessageBuffer<Record> record{};
    record.value() = Record{};
    record.value().telemetry = Telemetry::of(ticket);
    record.value().taken_ns = ticket;
    publish_completion(SingleLane{}, ring, worker, ticket, record);
  }
  [[nodiscard]] std::uint64_t dropped() const {
    std::uint64_t sum = 0;
    for (const WorkerCounters& c : counters) sum += load_shared(&c.dropped);
    return sum;
  }
  [[nodiscard]] std::uint64_t finished() const {
    std::uint64_t sum = 0;
    for (const WorkerCounters& c : counters) sum += load_shared(&c.finished);
    return sum;
  }

  RingShape shape;
  std::vector<Granule> granules;
  std::vector<std::uint32_t> seen;
  std::vector<SlotGuard> guards;
  std::vector<WorkerCounters> counters;
  TelemetryRing ring;
};

}  // namespace aatgs::test
