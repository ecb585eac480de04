// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/host_message.hpp>
#include <aatgs/runtime/ring_shape.hpp>
#include <cstdint>

namespace aatgs {

/// The config ring as both sides see it: host writes messages, resident workers take them by
/// ticket. Does not own the memory, which both sides can reach.
struct ConfigRing {
  Granule* granules;     ///< [shape.slots][shape.granules]; host writes
  std::uint32_t* taken;  ///< [shape.slots] lap whose message has been taken; device writes
  RingShape shape;

  /// Sets every slot to the lap before `first_ticket`. Before either side runs.
  void prepare(std::uint64_t first_ticket) const {
    prepare_slots(granules, shape, first_ticket);
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
      taken[slot] = shape.lap_before(slot, first_ticket);
    }
  }
};

/// Tries to take the config of `ticket`; the caller must own that ticket. False: not there yet.
template <Lanes L>
AATGS_HOST_DEVICE bool take_config(L lanes, const ConfigRing& ring, std::uint64_t ticket,
                                   MessageWord* words) {
  return read_message(lanes, ring.granules + ring.shape.offset_of(ticket), ring.shape.granules,
                      ring.shape.lap_of(ticket), words);
}

/// Whether the config of `ticket` has begun to arrive; cheaper than taking it.
AATGS_HOST_DEVICE inline bool config_in_sight(const ConfigRing& ring, std::uint64_t ticket) {
  return load_granule(ring.granules + ring.shape.offset_of(ticket)).lap() ==
         ring.shape.lap_of(ticket);
}

/// Gives the slot back to the host. One thread, after all lanes have read the message: the store
/// depends on the loaded laps, so it cannot overtake the loads.
AATGS_HOST_DEVICE inline void mark_taken(const ConfigRing& ring, std::uint64_t ticket) {
  store_shared(ring.taken + ring.shape.slot_of(ticket), ring.shape.lap_of(ticket));
}

/// The host's end of the config ring. One thread at a time.
template <class Config>
class ConfigProducer {
 public:
  ConfigProducer(const ConfigRing& ring, std::uint64_t first_ticket)
      : ring_(ring), next_(first_ticket), free_until_(first_ticket + ring.shape.slots) {}

  /// Ticket that the next push gets.
  [[nodiscard]] std::uint64_t next() const { return next_; }

  /// Whether a push would find a free slot. Looks at the shared marks only when the ring looks
  /// full.
  [[nodiscard]] bool has_room() {
    if (next_ < free_until_) return true;
    find_free_slots();
    return next_ < free_until_;
  }

  /// Publishes `config` under `next()`. Needs `has_room()`.
  void push(const Config& config) {
    write_value(ring_.granules + ring_.shape.offset_of(next_), ring_.shape.lap_of(next_), config);
    ++next_;
  }

  /// Whether the config of one of the last tickets, as many as there are slots, has been taken.
  [[nodiscard]] bool is_taken(std::uint64_t ticket) const {
    return load_shared(ring_.taken + ring_.shape.slot_of(ticket)) == ring_.shape.lap_of(ticket);
  }

  /// Slots that cannot be reused yet: from the oldest config not taken to the newest queued.
  [[nodiscard]] std::uint32_t occupied() {
    find_free_slots();
    return static_cast<std::uint32_t>(next_ + ring_.shape.slots - free_until_);
  }

 private:
  void find_free_slots() {
    const RingShape& shape = ring_.shape;
    while (free_until_ < next_ + shape.slots &&
           load_shared(ring_.taken + shape.slot_of(free_until_)) == shape.lap_of(free_until_) - 1) {
      ++free_until_;
    }
  }

  ConfigRing ring_;
  std::uint64_t next_;
  std::uint64_t free_until_;  // tickets below it have a free slot; refreshed when it looks full
};

}  // namespace aatgs
