// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/event_ring.hpp>
#include <cstdint>
#include <vector>

namespace aatgs {

/// The host's end of an event ring: knows what it has had of each chunk. One thread at a time.
class EventReader {
 public:
  explicit EventReader(std::uint32_t chunks) : had_(chunks), freed_(chunks) {}

  /// Appends the events that are new in `ring`, which may be a copy; those of one worker in their
  /// order as far as they share a chunk. Afterwards `freed()` belongs into the ring.
  void read(const EventRing& ring, std::vector<WorkerEvent>& into) {
    for (std::uint32_t chunk = 0; chunk < freed_.size(); ++chunk) {
      const std::uint32_t lap = load_shared(ring.taken + chunk);
      if (lap == freed_[chunk]) continue;
      read_chunk(ring, chunk, lap, into);
      if (had_[chunk] != events_per_chunk) continue;
      freed_[chunk] = lap;
      had_[chunk] = 0;
    }
  }

  /// Lap of each chunk that has been read to its end.
  [[nodiscard]] const std::vector<std::uint32_t>& freed() const { return freed_; }

 private:
  void read_chunk(const EventRing& ring, std::uint32_t chunk, std::uint32_t lap,
                  std::vector<WorkerEvent>& into) {
    MessageBuffer<WorkerEvent> message;
    for (std::uint32_t& had = had_[chunk]; had < events_per_chunk; ++had) {
      if (!read_message(SingleLane{}, ring.at(chunk, had), ring.granules_each, lap,
                        message.words())) {
        return;
      }
      into.push_back(message.value());
    }
  }

  std::vector<std::uint32_t> had_;  ///< events of the chunk's present lap
  std::vector<std::uint32_t> freed_;
};

}  // namespace aatgs
