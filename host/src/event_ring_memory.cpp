// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/event_ring_memory.hpp>

namespace aatgs {

EventRingMemory::EventRingMemory(MemoryKind workers_memory, std::uint32_t slots,
                                 std::uint32_t writers, int device)
    : is_here_(workers_memory == MemoryKind::host),
      chunks_(slots / events_per_chunk),
      granules_(workers_memory, std::size_t{slots} * EventRing::granules_each, device),
      taken_(workers_memory, chunks_, device),
      freed_(workers_memory, chunks_, device),
      state_(workers_memory, 1, device),
      cursors_(workers_memory, writers, device),
      reader_(chunks_) {
  if (is_here_) return;
  copy_.resize(granules_.size());
  laps_.resize(chunks_);
}

std::size_t EventRingMemory::bytes(std::uint32_t slots, std::uint32_t writers) {
  return std::size_t{slots} * EventRing::granules_each * sizeof(Granule) +
         slots / events_per_chunk * 2 * sizeof(std::uint32_t) + sizeof(EventRingState) +
         writers * sizeof(EventCursor);
}

EventRing EventRingMemory::ring() const {
  return {granules_.data(), taken_.data(), freed_.data(), state_.data(), cursors_.data(), chunks_};
}

void EventRingMemory::read(WorkerEvents& into) {
  const std::lock_guard lock(reading_);
  const std::uint64_t dropped = is_here_ ? read_here(into) : read_from_device(into);
  into.dropped += dropped - dropped_;
  dropped_ = dropped;
}

std::uint64_t EventRingMemory::read_here(WorkerEvents& into) {
  const EventRing here = ring();
  reader_.read(here, into.events);
  for (std::uint32_t chunk = 0; chunk < chunks_; ++chunk) {
    store_shared(here.freed + chunk, reader_.freed()[chunk]);
  }
  return load_shared(&here.state->dropped);
}

std::uint64_t EventRingMemory::read_from_device(WorkerEvents& into) {
  taken_.download(laps_);
  granules_.download(copy_);
  EventRing copy = ring();
  copy.taken = laps_.data();
  copy.granules = copy_.data();
  reader_.read(copy, into.events);
  freed_.upload(reader_.freed());
  return state_.download().front().dropped;
}

}  // namespace aatgs
