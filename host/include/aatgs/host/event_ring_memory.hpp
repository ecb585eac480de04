// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/worker_events.hpp>
#include <aatgs/runtime/event_reader.hpp>
#include <cstdint>
#include <mutex>
#include <vector>

namespace aatgs {

/// Owns an event ring, and reads it for the host. Must outlive the workers.
class EventRingMemory {
 public:
  /// `workers_memory`: `host` for CPU threads, `device` for a kernel. `slots`: events, a power of
  /// two of at least `events_per_chunk`. Throws what `Memory` throws.
  EventRingMemory(MemoryKind workers_memory, std::uint32_t slots, std::uint32_t writers,
                  int device);

  /// What it takes in the workers' memory.
  static std::size_t bytes(std::uint32_t slots, std::uint32_t writers);

  [[nodiscard]] EventRing ring() const;
  /// Appends what is new. From any thread, also while workers write: from a GPU by a copy of the
  /// whole ring on a stream of its own. Throws `DeviceError`.
  void read(WorkerEvents& into);

 private:
  std::uint64_t read_here(WorkerEvents& into);
  std::uint64_t read_from_device(WorkerEvents& into);

  bool is_here_;
  std::uint32_t chunks_;
  Buffer<Granule> granules_;
  Buffer<std::uint32_t> taken_;
  Buffer<std::uint32_t> freed_;
  Buffer<EventRingState> state_;
  Buffer<EventCursor> cursors_;

  std::mutex reading_;  // guards what follows
  EventReader reader_;
  std::uint64_t dropped_ = 0;        // so far
  std::vector<Granule> copy_;        // of a ring in device memory
  std::vector<std::uint32_t> laps_;  // likewise
};

}  // namespace aatgs
