// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/task_queue.hpp>
#include <cstdint>

namespace aatgs {

/// Entries in the order of the queues that they are for; in memory that the lanes share.
template <std::uint32_t Queues>
struct SortedEntries {
  std::uint32_t begin[Queues + 1];  ///< of the entries of each queue; then their number
  std::uint64_t tickets[Queues];    ///< what `push_sorted` makes of it: ticket less place
};

/// Pushes those of `entries` from place `first` on, each into its queue. The claims of all queues
/// are on their way at once: one push after the other takes three trips to the L2 cache each.
/// `queue_of(entry)` is what they are sorted by. The lanes of one group together. The queues must
/// never be full, as in `push_each` with `is_sure`. False: `pause()` gave up.
template <class Entry, std::uint32_t Queues, TaskLanes L, class QueueOf, class Pause = KeepWaiting>
AATGS_HOST_DEVICE bool push_sorted(L lanes, const TaskQueue<Entry> (&queues)[Queues],
                                   const Entry* entries, SortedEntries<Queues>& sorted,
                                   std::uint32_t first, const QueueOf& queue_of, Pause pause = {}) {
  const auto count_of = [&](std::uint32_t q, std::uint32_t& from) {
    from = sorted.begin[q] > first ? sorted.begin[q] : first;
    return sorted.begin[q + 1] > from ? sorted.begin[q + 1] - from : 0;
  };
  for (std::uint32_t q = lanes.rank(); q < Queues; q += lanes.size()) {
    std::uint32_t from = 0;
    const std::uint32_t count = count_of(q, from);
    if (count == 0) continue;
    const detail::WorkerAtomic<std::uint64_t> tail(queues[q].state->tail);
    sorted.tickets[q] = tail.fetch_add(count, cuda::memory_order_relaxed) - from;
  }
  (void)lanes.from_first(0);
  detail::order_workers();
  bool done = true;
  for (std::uint32_t i = first + lanes.rank(); done && i < sorted.begin[Queues];
       i += lanes.size()) {
    const std::uint32_t q = queue_of(entries[i]);
    MessageBuffer<Entry> message{};
    message.value() = entries[i];
    const std::uint64_t ticket = sorted.tickets[q] + i;
    const std::uint32_t taken = load_shared(queues[q].taken + queues[q].shape.slot_of(ticket));
    done = detail::put_task(queues[q], ticket, taken, message, pause);
  }
  done = lanes.all(done);
  for (std::uint32_t q = lanes.rank(); done && q < Queues; q += lanes.size()) {
    std::uint32_t from = 0;
    const std::uint32_t count = count_of(q, from);
    if (count == 0) continue;
    detail::WorkerAtomic<std::int64_t>(*queues[q].ready)
        .fetch_add(count, cuda::memory_order_relaxed);
  }
  return done;
}

}  // namespace aatgs
