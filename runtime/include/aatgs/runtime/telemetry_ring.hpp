// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/completion.hpp>
#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/message.hpp>
#include <aatgs/runtime/ring_shape.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs {

/// What happens when the host does not collect telemetry fast enough.
enum class TelemetryPolicy : std::uint32_t {
  block,             ///< no new config is accepted until the host has collected
  drop_newest,       ///< telemetry that finds its slot unread is dropped and counted
  overwrite_oldest,  ///< newer telemetry replaces unread older telemetry, which is counted
};

/// Guards one telemetry slot among workers, for the lossy policies only.
struct SlotGuard {
  std::uint32_t locked;
  std::uint32_t written;  ///< lap of the last completion written
};

/// The telemetry ring as both sides see it. Does not own the memory.
///
/// The completion of ticket t lives in the slot of t. With a shared tail counter instead, an atomic
/// in device memory (0.6 us on an H200) would stand between every step and its telemetry.
///
/// Under `block` the host accepts config t only once it has collected t - slots, so a worker always
/// finds its slot free and never waits. The lossy policies lock the slot among workers.
struct TelemetryRing {
  Granule* granules;         ///< [shape.slots][shape.granules]; device writes
  std::uint32_t* seen;       ///< [shape.slots] lap that the host has collected; host writes
  SlotGuard* guards;         ///< [shape.slots] in the workers' own memory; lossy policies
  WorkerCounters* counters;  ///< [workers] one writer each; lossy policies
  RingShape shape;
  TelemetryPolicy policy;

  /// Sets every slot to the lap before `first_ticket`. Before either side runs; `guards` is the
  /// caller's to set to the same laps (`shape.lap_before`).
  void prepare(std::uint64_t first_ticket) const {
    prepare_slots(granules, shape, first_ticket);
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
      seen[slot] = shape.lap_before(slot, first_ticket);
    }
  }
};

namespace detail {

/// Locks the slot and says whether the completion may be written. One thread.
AATGS_HOST_DEVICE inline bool enter_slot(const TelemetryRing& ring, std::uint32_t worker,
                                         std::uint64_t ticket) {
  SlotGuard& guard = ring.guards[ring.shape.slot_of(ticket)];
  cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device> locked(guard.locked);
  while (locked.exchange(1, cuda::memory_order_acquire) != 0) {
  }
  const std::uint32_t lap = ring.shape.lap_of(ticket);
  bool write = static_cast<std::int32_t>(lap - guard.written) > 0;
  if (write && ring.policy == TelemetryPolicy::drop_newest) {
    write = load_shared(ring.seen + ring.shape.slot_of(ticket)) == guard.written;
  }
  if (write) guard.written = lap;
  WorkerCounters& mine = ring.counters[worker];
  if (!write) store_shared(&mine.dropped, mine.dropped + 1);
  return write;
}

AATGS_HOST_DEVICE inline void leave_slot(const TelemetryRing& ring, std::uint32_t worker,
                                         std::uint64_t ticket) {
  cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device> locked(
      ring.guards[ring.shape.slot_of(ticket)].locked);
  locked.store(0, cuda::memory_order_release);
  WorkerCounters& mine = ring.counters[worker];
  store_shared(&mine.finished, mine.finished + 1);
}

}  // namespace detail

/// Publishes the completion of `ticket`, a `CompletionRecord` of the ring's size. All lanes of one
/// worker together; never waits for the host.
template <Lanes L, class Record>
AATGS_HOST_DEVICE void publish_completion(L lanes, const TelemetryRing& ring, std::uint32_t worker,
                                          std::uint64_t ticket,
                                          const MessageBuffer<Record>& record) {
  // As a constant: a loop over the ring's own number takes a grid step 0.03 us longer (H200).
  constexpr std::uint32_t granules = MessageBuffer<Record>::granules;
  Granule* slot = ring.granules + ring.shape.offset_of(ticket);
  if (ring.policy == TelemetryPolicy::block) [[likely]] {
    write_message(lanes, slot, granules, ring.shape.lap_of(ticket), record.words());
    return;
  }
  const bool mine = lanes.rank() != 0 || detail::enter_slot(ring, worker, ticket);
  if (lanes.all(mine)) {
    write_message(lanes, slot, granules, ring.shape.lap_of(ticket), record.words());
  }
  full_fence();
  lanes.all(true);  // every lane's stores are out before the slot opens to a later lap
  if (lanes.rank() == 0) detail::leave_slot(ring, worker, ticket);
}

}  // namespace aatgs
