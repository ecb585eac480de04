// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/granule.hpp>
#include <bit>
#include <cstdint>

namespace aatgs {

inline constexpr std::uint32_t min_ring_slots = 1;
inline constexpr std::uint32_t max_ring_slots = 1U << 20;

/// Ring sizes are powers of two, so that slot and lap of a ticket are a mask and a shift.
constexpr bool is_ring_size(std::uint64_t slots) {
  return slots >= min_ring_slots && slots <= max_ring_slots && std::has_single_bit(slots);
}

/// Where the messages of a ring lie, one right behind the other: slots that begin on cache lines
/// made nothing faster, and a round trip 0.1 us slower (H200). Ticket t lives in slot t mod slots,
/// under lap t / slots + 1 (mod 2^32; a slot never sees two laps that are 2^32 apart at the same
/// time).
struct RingShape {
  std::uint32_t slots = 1;     ///< a power of two
  std::uint32_t shift = 0;     ///< log2(slots)
  std::uint32_t granules = 1;  ///< per message

  /// `slots` must satisfy `is_ring_size`.
  static constexpr RingShape make(std::uint32_t slots, std::uint32_t granules) {
    return {slots, static_cast<std::uint32_t>(std::countr_zero(slots)), granules};
  }

  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint32_t slot_of(std::uint64_t ticket) const {
    return static_cast<std::uint32_t>(ticket) & (slots - 1);
  }
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint32_t lap_of(std::uint64_t ticket) const {
    return static_cast<std::uint32_t>(ticket >> shift) + 1;
  }
  /// First granule of the ticket's slot, counted in granules from the start of the ring.
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::uint64_t offset_of(std::uint64_t ticket) const {
    return std::uint64_t{slot_of(ticket)} * granules;
  }
  [[nodiscard]] constexpr std::uint64_t total_granules() const {
    return std::uint64_t{slots} * granules;
  }
  /// The lap that a slot shows before `first_ticket`, or its first successor there, is published.
  [[nodiscard]] constexpr std::uint32_t lap_before(std::uint32_t slot,
                                                   std::uint64_t first_ticket) const {
    const std::uint64_t distance = (slot - first_ticket) & (slots - 1);
    return lap_of(first_ticket + distance) - 1;
  }
};

/// Sets all granules of a ring to the laps before `first_ticket`. Before either side runs.
inline void prepare_slots(Granule* granules, const RingShape& shape, std::uint64_t first_ticket) {
  for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
    const std::uint32_t lap = shape.lap_before(slot, first_ticket);
    for (std::uint32_t i = 0; i < shape.granules; ++i) {
      granules[std::uint64_t{slot} * shape.granules + i] = Granule::make(0, 0, 0, lap);
    }
  }
}

}  // namespace aatgs
