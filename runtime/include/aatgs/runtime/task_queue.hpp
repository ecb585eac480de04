// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/message.hpp>
#include <aatgs/runtime/ring_shape.hpp>
#include <aatgs/runtime/task_claim.hpp>
#include <cstdint>

namespace aatgs {

inline constexpr std::size_t max_task_bytes = 64;

/// The words of a task queue that every worker moves, each on a line of its own.
struct TaskQueueState {
  alignas(line_bytes) std::uint64_t tail;  ///< ticket of the next push
  alignas(line_bytes) std::uint64_t head;  ///< ticket of the next pop
  alignas(line_bytes) std::int64_t room;   ///< pushes that may be begun
};

/// A bounded queue of small entries among the workers of one GPU, or among CPU threads: any number
/// push and pop at once. Does not own the memory, which is the workers' own (`TaskQueueMemory`).
///
/// Who may push or pop is settled by a counter (`room`, `ready`), who uses which slot by a ticket:
/// two additions, of which none is tried again, for any number of entries. With compare-and-swap on
/// head and tail (D. Vyukov's bounded queue) one claim at a time gets through in each round trip to
/// the L2 cache. After B. Kerbl, M. Kenzel, J. H. Mueller, D. Schmalstieg, M. Steinberger: The
/// Broker Queue, ICS 2018 (its work distributor); the slots are those of `ConfigRing`.
///
/// - Order: entries are taken in the order of their tickets. Each thread takes those of one
///   producer in the order they were pushed in.
/// - Full, empty: seldom told wrongly, only while another thread is in the midst of a push or pop.
/// - Progress: nobody waits for room or for entries. A push or pop that was granted may wait for
///   the thread that had its slot before, and that only while it copies one entry (blocking; waits
///   go from later tickets to earlier ones, so that they end if every thread goes on).
/// - What a thread did before a push is visible to the thread that pops the entry, on one GPU.
template <class Entry>
struct TaskQueue {
  static_assert(std::is_trivially_copyable_v<Entry> && sizeof(Entry) <= max_task_bytes,
                "AATGS: an entry of a task queue must be trivially copyable and have at most 64 "
                "bytes; put larger data into an aatgs::Buffer and queue an index");
  static constexpr std::uint32_t granules_each = MessageBuffer<Entry>::granules;

  Granule* granules;      ///< [shape.slots][shape.granules]
  std::uint32_t* taken;   ///< [shape.slots] lap whose entry has been taken
  TaskQueueState* state;  ///< one
  /// One: pops that may be begun. Apart from the rest, so that those of several queues can lie side
  /// by side, for workers who look at all of them.
  std::int64_t* ready;
  RingShape shape;

  /// Makes the queue empty. Before any worker runs, in memory that the host reaches.
  void prepare(std::uint64_t first_ticket) const {
    prepare_slots(granules, shape, first_ticket);
    for (std::uint32_t slot = 0; slot < shape.slots; ++slot) {
      taken[slot] = shape.lap_before(slot, first_ticket);
    }
    *state = {first_ticket, first_ticket, shape.slots};
    *ready = 0;
  }
};

/// What came of `try_push` or `try_pop`.
enum class TaskMove : std::uint32_t {
  done,
  refused,  ///< full, or empty: nothing happened
  stuck,    ///< the pause gave up: the queue is of no use any more until it is prepared again
};

namespace detail {

/// All granules are on their way at once: `read_message` with one lane would fetch one after the
/// other.
template <class Entry>
AATGS_HOST_DEVICE bool read_task(const Granule* slot, std::uint32_t lap,
                                 MessageBuffer<Entry>& into) {
  Granule g[MessageBuffer<Entry>::granules];
  for (std::uint32_t i = 0; i < MessageBuffer<Entry>::granules; ++i) g[i] = load_granule(slot + i);
  bool here = true;
  for (std::uint32_t i = 0; i < MessageBuffer<Entry>::granules; ++i) {
    here = here && g[i].lap() == lap;
    unpack_granule(g[i], into.words() + 3 * i);
  }
  return here;
}

/// Writes an entry into the slot of a ticket once the one before it there has been taken. `taken`:
/// what the slot's word said. False: `pause()` gave up. One thread.
template <class Entry, class Pause>
AATGS_HOST_DEVICE bool put_task(const TaskQueue<Entry>& queue, std::uint64_t ticket,
                                std::uint32_t taken, const MessageBuffer<Entry>& message,
                                Pause& pause) {
  const std::uint32_t lap = queue.shape.lap_of(ticket);
  while (taken != lap - 1) {
    if (!pause()) return false;
    taken = load_shared(queue.taken + queue.shape.slot_of(ticket));
  }
  write_message(SingleLane{}, queue.granules + queue.shape.offset_of(ticket), queue.granules_each,
                lap, message.words());
  return true;
}

}  // namespace detail

/// Pushes `entry_at(i)` for i below `count`, as many as there is room for from the first one on,
/// and returns how many; or `task_queue_stuck`. The lanes of one group together, each with the same
/// `count`. `pause()` is called while a slot is still in use; false: give up.
///
/// `is_sure`: the queue can never be full, as the caller knows; spares a round trip to the counter
/// of the room. All pushes to a queue or none.
template <class Entry, TaskLanes L, class EntryAt, class Pause = KeepWaiting>
AATGS_HOST_DEVICE std::uint32_t push_each(L lanes, const TaskQueue<Entry>& queue,
                                          std::uint32_t count, const EntryAt& entry_at,
                                          bool is_sure, Pause pause = {}) {
  const RingShape& shape = queue.shape;
  const detail::TaskClaim claim =
      detail::claim_tasks(lanes, is_sure ? nullptr : &queue.state->room, queue.state->tail, count);
  if (claim.count == 0) return 0;
  detail::order_workers();
  constexpr std::uint32_t batch = 2;  // on their way at once
  bool done = true;
  for (std::uint32_t from = lanes.rank(); done && from < claim.count;
       from += batch * lanes.size()) {
    MessageBuffer<Entry> messages[batch];
    std::uint32_t laps[batch];
    for (std::uint32_t k = 0; k < batch; ++k) {
      const std::uint32_t i = from + k * lanes.size();
      messages[k] = {};
      laps[k] = 0;
      if (i < claim.count) {
        messages[k].value() = entry_at(i);
        laps[k] = load_shared(queue.taken + shape.slot_of(claim.first + i));
      }
    }
    for (std::uint32_t k = 0; k < batch; ++k) {
      const std::uint32_t i = from + k * lanes.size();
      if (!done || i >= claim.count) continue;
      done = detail::put_task(queue, claim.first + i, laps[k], messages[k], pause);
    }
  }
  return detail::end_claim(lanes, done, *queue.ready, claim.count);
}

/// The same for the first ones of `entries`.
template <class Entry, TaskLanes L, class Pause = KeepWaiting>
AATGS_HOST_DEVICE std::uint32_t push_many(L lanes, const TaskQueue<Entry>& queue,
                                          const Entry* entries, std::uint32_t count,
                                          Pause pause = {}) {
  return push_each(
      lanes, queue, count, [entries](std::uint32_t i) { return entries[i]; }, false, pause);
}

/// Pops up to `count` entries into the first ones of `entries` and returns how many there were;
/// else as `push_each`. `seen`: the caller has just seen some.
template <class Entry, TaskLanes L, class Pause = KeepWaiting>
AATGS_HOST_DEVICE std::uint32_t pop_many(L lanes, const TaskQueue<Entry>& queue, Entry* entries,
                                         std::uint32_t count, Pause pause = {}, bool seen = false) {
  const RingShape& shape = queue.shape;
  const detail::TaskClaim claim =
      detail::claim_tasks(lanes, queue.ready, queue.state->head, count, seen);
  if (claim.count == 0) return 0;
  bool done = true;
  for (std::uint32_t i = lanes.rank(); done && i < claim.count; i += lanes.size()) {
    const std::uint64_t ticket = claim.first + i;
    const std::uint32_t lap = shape.lap_of(ticket);
    const Granule* slot = queue.granules + shape.offset_of(ticket);
    MessageBuffer<Entry> message;
    while (done && !detail::read_task<Entry>(slot, lap, message)) done = pause();
    if (done) {
      entries[i] = message.value();
      store_shared(queue.taken + shape.slot_of(ticket),
                   lap);  // depends on the loads, so after them
    }
  }
  detail::order_workers();
  return detail::end_claim(lanes, done, queue.state->room, claim.count);
}

namespace detail {

AATGS_HOST_DEVICE constexpr TaskMove to_move(std::uint32_t count) {
  return count == 1 ? TaskMove::done : count == 0 ? TaskMove::refused : TaskMove::stuck;
}

}  // namespace detail

/// One thread pushes one entry; `refused`: the queue is full.
template <class Entry, class Pause = KeepWaiting>
AATGS_HOST_DEVICE TaskMove try_push(const TaskQueue<Entry>& queue, const Entry& entry,
                                    Pause pause = {}) {
  return detail::to_move(push_many(SingleTaskLane{}, queue, &entry, 1, pause));
}

/// One thread pops one entry; `refused`: the queue is empty.
template <class Entry, class Pause = KeepWaiting>
AATGS_HOST_DEVICE TaskMove try_pop(const TaskQueue<Entry>& queue, Entry& entry, Pause pause = {}) {
  return detail::to_move(pop_many(SingleTaskLane{}, queue, &entry, 1, pause));
}

/// Entries that could be popped a moment ago; exact while nobody pushes or pops.
template <class Entry>
AATGS_HOST_DEVICE std::uint32_t ready_tasks(const TaskQueue<Entry>& queue) {
  const std::int64_t ready =
      detail::WorkerAtomic<std::int64_t>(*queue.ready).load(cuda::memory_order_relaxed);
  return ready > 0 ? static_cast<std::uint32_t>(ready) : 0;
}

}  // namespace aatgs
