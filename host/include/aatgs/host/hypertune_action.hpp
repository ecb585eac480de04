// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/run_metric.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace aatgs {

/// What a controller sees in the telemetry of a phase; see `HypertuneOptions` for the thresholds.
enum class HypertuneEvent : std::uint8_t {
  phase_stalled,   ///< no fewer conflicts for a while since the last action
  no_improvement,  ///< no fewer conflicts than ever before in a whole window
  high_conflicts,  ///< many conflicts in every record of a window
  low_efficiency,  ///< little of the work pays, mean of a window
};
inline constexpr std::size_t hypertune_events = 4;

/// What it can ask of a solver.
enum class HypertuneKind : std::uint8_t {
  adjust_temperatures,  ///< times `factor`: how readily a move that gains nothing is made
  adjust_weights,       ///< times `factor`: weights of the heuristics
  adjust_iterations,    ///< times `factor`: iterations of one config
  adjust_population,    ///< renew this member of the population from others
  toggle_phase,         ///< a part of the solver is switched off, or on again
  reset_to_baseline,    ///< everything as it was configured
};
inline constexpr std::size_t hypertune_kinds = 6;

/// Such as "PhaseStalled" and "adjust_population".
[[nodiscard]] std::string_view to_string(HypertuneEvent event);
[[nodiscard]] std::string_view to_string(HypertuneKind kind);

/// One record of a phase, as the controller needs it.
struct HypertuneSample {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  std::uint64_t iterations = 0;  ///< that this record stands for
  std::uint64_t conflicts = 0;   ///< fewest of this record
  double efficiency = unknown;   ///< share of the work that paid, 0 to 1
};

/// What the solver should do before its next config.
struct HypertuneAction {
  std::uint64_t number = 0;  ///< counts the actions of a controller, from 1
  HypertuneEvent event = HypertuneEvent::phase_stalled;  ///< that called for it
  HypertuneKind kind = HypertuneKind::reset_to_baseline;
  float factor = 1;
  std::uint64_t at_iteration = 0;      ///< iterations seen before it
  std::uint64_t conflicts_before = 0;  ///< fewest since the action before it
};

/// What came of an action.
struct HypertuneOutcome {
  HypertuneAction action;
  std::uint64_t conflicts_after = 0;  ///< fewest since
  std::uint64_t iterations = 0;       ///< that it was given
  bool paid = false;                  ///< conflicts dropped
};

/// The name under which both are recorded.
inline constexpr const char* hypertune_phase = "hypertune";

/// Records for a `TelemetryHandle`: step is the number of the action, conflicts those before or
/// after it; `parameters` is {"member":..,"event":..,"action":..,"factor":..,"at_iteration":..}
/// and, for an outcome, "conflicts_before", "iterations", "paid"; notes tell "action" or "outcome".
/// `member`: which search, where each has a controller. Never allocates.
[[nodiscard]] RunMetric to_metric(const HypertuneAction& action, std::uint32_t member = 0);
[[nodiscard]] RunMetric to_metric(const HypertuneOutcome& outcome, std::uint32_t member = 0);

}  // namespace aatgs
