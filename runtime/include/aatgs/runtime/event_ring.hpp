// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/message.hpp>
#include <aatgs/runtime/task_claim.hpp>
#include <cstdint>

namespace aatgs {

enum class EventKind : std::uint16_t {
  config,    ///< a worker ran a config, or its part of one
  presence,  ///< a resident kernel was on the GPU until it parked or ended; the ticket is the
             ///< number of the launch
};

/// Something that a worker did. Times are those of the executor's clock, as in a completion.
struct WorkerEvent {
  std::uint64_t ticket;
  std::uint64_t taken_ns;  ///< 0: not known to this worker
  std::uint64_t started_ns;
  std::uint64_t finished_ns;  ///< as far as this worker goes
  EventKind kind;
  std::uint16_t unit;    ///< SM, or number of the CPU thread
  std::uint32_t worker;  ///< block, or number of the CPU thread
};
static_assert(sizeof(WorkerEvent) == 40);

/// Events are claimed by so many at a time.
inline constexpr std::uint32_t events_per_chunk = 32;

struct EventRingState {
  alignas(line_bytes) std::uint64_t claims;   ///< attempts to claim a chunk
  alignas(line_bytes) std::uint64_t dropped;  ///< events for which there was no room
};

/// Where a worker writes its next event. Lies in the workers' memory, so that a park changes
/// nothing.
struct alignas(line_bytes) EventCursor {
  std::uint32_t chunk;
  std::uint32_t lap;
  std::uint32_t left;   ///< events that the chunk still has room for
  std::uint32_t skips;  ///< events to drop before the next attempt to claim
};

/// A log of what workers did, which the host reads while they run. Does not own the memory, which
/// is the workers' own (`EventRingMemory`). Off if `granules` is null.
///
/// Each worker claims a chunk of 32 events for itself, so that workers meet once in 32 events, and
/// no worker that is idle holds up the others. A chunk that the host has not read to its end is not
/// claimed again: events without room are dropped and counted, nobody waits. The events are
/// messages with the lap of their chunk, so that the host sees each whole or not at all, even in a
/// copy that was made while they were written.
struct EventRing {
  static constexpr std::uint32_t granules_each = MessageBuffer<WorkerEvent>::granules;

  Granule* granules;      ///< [chunks][events_per_chunk][granules_each]
  std::uint32_t* taken;   ///< [chunks] lap of the last claim; workers write
  std::uint32_t* freed;   ///< [chunks] lap that has been read to its end; host writes
  EventRingState* state;  ///< one
  EventCursor* cursors;   ///< [writers]
  std::uint32_t chunks;   ///< a power of two

  [[nodiscard]] AATGS_HOST_DEVICE bool is_on() const { return granules != nullptr; }
  [[nodiscard]] AATGS_HOST_DEVICE Granule* at(std::uint32_t chunk, std::uint32_t event) const {
    return granules + (std::size_t{chunk} * events_per_chunk + event) * granules_each;
  }
};

namespace detail {

/// One of the next chunks that the host has read. An attempt is two trips to the L2 cache in a row:
/// with a full ring only one event in 32 makes some.
AATGS_HOST_DEVICE inline bool claim_chunk(const EventRing& ring, EventCursor& cursor) {
  constexpr int attempts = 4;  // chunks of idle workers lie between free ones
  if (cursor.skips != 0) {
    --cursor.skips;
    return false;
  }
  for (int i = 0; i < attempts; ++i) {
    const std::uint64_t claim =
        WorkerAtomic<std::uint64_t>(ring.state->claims).fetch_add(1, cuda::memory_order_relaxed);
    const auto chunk = static_cast<std::uint32_t>(claim % ring.chunks);
    const auto lap = static_cast<std::uint32_t>(claim / ring.chunks) + 1;
    std::uint32_t free = load_shared(ring.freed + chunk);
    if (WorkerAtomic<std::uint32_t>(ring.taken[chunk])
            .compare_exchange_strong(free, lap, cuda::memory_order_relaxed)) {
      cursor = {chunk, lap, events_per_chunk, 0};
      return true;
    }
  }
  cursor.skips = events_per_chunk - 1;
  return false;
}

}  // namespace detail

/// Writes an event, or counts it as dropped. One thread of the worker.
AATGS_HOST_DEVICE inline void note_event(const EventRing& ring, const WorkerEvent& event) {
  EventCursor& cursor = ring.cursors[event.worker];
  if (cursor.left == 0 && !detail::claim_chunk(ring, cursor)) {
    detail::WorkerAtomic<std::uint64_t>(ring.state->dropped)
        .fetch_add(1, cuda::memory_order_relaxed);
    return;
  }
  MessageBuffer<WorkerEvent> message{};
  message.value() = event;
  write_message(SingleLane{}, ring.at(cursor.chunk, events_per_chunk - cursor.left),
                ring.granules_each, cursor.lap, message.words());
  --cursor.left;
}

}  // namespace aatgs
