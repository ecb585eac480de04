// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/event_ring_memory.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/runtime/port.hpp>
#include <memory>
#include <vector>

namespace aatgs {

/// What memory is made for.
struct MessageSizes {
  std::uint32_t config_granules;
  std::uint32_t record_granules;
};

/// What the memory of a context comes to.
struct MemoryNeeds {
  std::size_t shared_bytes = 0;   ///< reached by both sides
  std::size_t workers_bytes = 0;  ///< in the workers' own memory
};

/// Owns what the two sides of one port share, prepared for the options' first ticket.
class PortMemory {
 public:
  /// `workers_memory`: `host` for CPU threads, `device` for a kernel.
  PortMemory(MemoryKind workers_memory, const ContextOptions& options, MessageSizes sizes,
             std::uint32_t workers);

  [[nodiscard]] Port port() const;
  /// See `Memory::abandon`.
  void abandon() noexcept;
  /// Sums over the workers; lossy telemetry policies only.
  [[nodiscard]] WorkerCounters sum_counters() const;

 private:
  RingShape config_shape_;
  RingShape record_shape_;
  TelemetryPolicy policy_;
  std::uint32_t workers_;
  Memory config_;
  Memory taken_;
  Memory telemetry_;
  Memory seen_;
  Memory counters_;
  Memory feed_;
  Memory guards_;
  Memory state_;
};

/// Owns all that the two sides of a context share: its ports, the control block, and the workers'
/// state.
class ResidentMemory {
 public:
  ResidentMemory(MemoryKind workers_memory, const ContextOptions& options, MessageSizes sizes,
                 std::uint32_t workers);

  /// What the constructor will ask for.
  static MemoryNeeds needs(const ContextOptions& options, MessageSizes sizes,
                           std::uint32_t workers);

  [[nodiscard]] const std::vector<PortMemory>& ports() const { return ports_; }
  [[nodiscard]] ControlBlock& control() const;
  /// In the workers' memory.
  [[nodiscard]] ResidentState* state() const;
  /// Null without `event_slots`.
  [[nodiscard]] EventRingMemory* events() const { return events_.get(); }
  /// Off without them.
  [[nodiscard]] EventRing event_ring() const;

 private:
  std::unique_ptr<EventRingMemory> events_;
  std::vector<PortMemory> ports_;
  Memory control_;
  Memory state_;
};

}  // namespace aatgs
