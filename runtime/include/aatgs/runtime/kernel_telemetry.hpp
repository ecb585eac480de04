// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>

namespace aatgs {

/// The default telemetry, 64 bytes: what one config came to. Ticket, status and timestamps are not
/// in here; they travel in the `Completion` around it.
struct KernelTelemetry {
  std::int32_t conflicts = 0;          ///< conflicting edges now, >= 0
  std::int32_t colors_used = 0;        ///< colours in use, >= 0
  std::int32_t moves_applied = 0;      ///< recolourings of this step, >= 0
  std::int32_t tunneling_events = 0;   ///< accepted worsening jumps of this step, >= 0
  std::int32_t phase_transitions = 0;  ///< transitions detected in this step, >= 0
  float betti_numbers[3] = {};         ///< components, loops, voids
  float reservoir_activity = 0;        ///< mean activity, 0 to 1
  float free_energy = 0;               ///< variational free energy, solver's units
  std::int32_t best_replica = 0;       ///< index of the best replica
  std::int32_t iteration_time_us = 0;  ///< duration as the step measured it, us
  float padding[4] = {};               ///< to 64 bytes, zero unless a solver documents a use
};

static_assert(sizeof(KernelTelemetry) == 64 && alignof(KernelTelemetry) == 4);
static_assert(std::is_trivially_copyable_v<KernelTelemetry>);

}  // namespace aatgs
