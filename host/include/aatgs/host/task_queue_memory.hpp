// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/task_queue.hpp>
#include <string>
#include <vector>

namespace aatgs {

/// Owns the memory of one task queue. Must outlive the workers. Not thread-safe; the queue is.
template <class Entry>
class TaskQueueMemory {
 public:
  /// `workers_memory`: `host` for CPU threads, `device` for a kernel. Throws `OptionError` unless
  /// `slots` is a power of two from 1 to `max_ring_slots`; else what `Memory` throws.
  TaskQueueMemory(MemoryKind workers_memory, std::uint32_t slots, int device = 0,
                  std::uint64_t first_ticket = 0)
      : shape_(RingShape::make(checked(slots), MessageBuffer<Entry>::granules)),
        granules_(workers_memory, shape_.total_granules(), device),
        taken_(workers_memory, slots, device),
        state_(workers_memory, 1, device),
        ready_(workers_memory, 1, device) {
    prepare(first_ticket);
  }

  /// Makes the queue empty again. While no worker uses it.
  void prepare(std::uint64_t first_ticket) {
    std::vector<Granule> granules(granules_.size());
    std::vector<std::uint32_t> taken(taken_.size());
    TaskQueueState state{};
    std::int64_t ready = 0;
    TaskQueue<Entry>{granules.data(), taken.data(), &state, &ready, shape_}.prepare(first_ticket);
    granules_.upload(granules);
    taken_.upload(taken);
    state_.upload({&state, 1});
    ready_.upload({&ready, 1});
  }

  [[nodiscard]] TaskQueue<Entry> queue() const {
    return {granules_.data(), taken_.data(), state_.data(), ready_.data(), shape_};
  }
  /// See `Memory::abandon`.
  void abandon() noexcept {
    granules_.abandon();
    taken_.abandon();
    state_.abandon();
    ready_.abandon();
  }

 private:
  static std::uint32_t checked(std::uint32_t slots) {
    if (is_ring_size(slots)) return slots;
    throw OptionError("a task queue of " + std::to_string(slots) +
                      " slots: use a power of two from " + std::to_string(min_ring_slots) + " to " +
                      std::to_string(max_ring_slots));
  }

  RingShape shape_;
  Buffer<Granule> granules_;
  Buffer<std::uint32_t> taken_;
  Buffer<TaskQueueState> state_;
  Buffer<std::int64_t> ready_;
};

}  // namespace aatgs
