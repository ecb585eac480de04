// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/runtime/config_ring.hpp>
#include <aatgs/runtime/resident_state.hpp>
#include <aatgs/runtime/telemetry_ring.hpp>

namespace aatgs {

/// Owns what the two sides of a context share: both rings, the control block, and the workers'
/// state. Prepared for the options' first ticket.
class RingMemory {
 public:
  /// `workers_memory`: `host` for CPU threads, `device` for a kernel. Granules count per message.
  RingMemory(MemoryKind workers_memory, const ContextOptions& options,
             std::uint32_t config_granules, std::uint32_t record_granules, std::uint32_t workers);

  [[nodiscard]] ConfigRing config() const;
  [[nodiscard]] TelemetryRing telemetry() const;
  [[nodiscard]] ControlBlock& control() const;
  /// In the workers' memory.
  [[nodiscard]] ResidentState* state() const;

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
  Memory control_;
  Memory guards_;
  Memory state_;
};

}  // namespace aatgs
