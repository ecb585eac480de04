// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/hypertune_action.hpp>
#include <cinttypes>
#include <cstdio>

namespace aatgs {

namespace {

/// {"member":..,"event":..,"action":..,"factor":..,"at_iteration":..  without the end. Returns its
/// length.
std::size_t begin_parameters(char* text, std::size_t room, const HypertuneAction& action,
                             std::uint32_t member) {
  const int length = std::snprintf(
      text, room, R"({"member":%u,"event":"%s","action":"%s","factor":%g,"at_iteration":%)" PRIu64,
      member, to_string(action.event).data(), to_string(action.kind).data(),
      static_cast<double>(action.factor), action.at_iteration);
  return static_cast<std::size_t>(length);
}

RunMetric metric_of(const HypertuneAction& action, std::uint64_t conflicts, const char* parameters,
                    const char* note) {
  RunMetric metric;
  metric.phase = hypertune_phase;
  metric.execution = PhaseExecution::cpu_fallback("the controller runs on the host");
  metric.step = action.number;
  metric.conflicts = conflicts;
  metric.parameters = parameters;
  metric.notes = note;
  return metric;
}

}  // namespace

// Both return the beginnings of literals, which end with a 0 as `snprintf` needs it.
std::string_view to_string(HypertuneEvent event) {
  switch (event) {
    case HypertuneEvent::phase_stalled:
      return "PhaseStalled";
    case HypertuneEvent::no_improvement:
      return "NoImprovement";
    case HypertuneEvent::high_conflicts:
      return "HighConflicts";
    case HypertuneEvent::low_efficiency:
      return "LowEfficiency";
  }
  return "unknown";
}

std::string_view to_string(HypertuneKind kind) {
  switch (kind) {
    case HypertuneKind::adjust_temperatures:
      return "adjust_temperatures";
    case HypertuneKind::adjust_weights:
      return "adjust_weights";
    case HypertuneKind::adjust_iterations:
      return "adjust_iterations";
    case HypertuneKind::adjust_population:
      return "adjust_population";
    case HypertuneKind::toggle_phase:
      return "toggle_phase";
    case HypertuneKind::reset_to_baseline:
      return "reset_to_baseline";
  }
  return "unknown";
}

RunMetric to_metric(const HypertuneAction& action, std::uint32_t member) {
  char text[FixedText<253>::capacity];
  const std::size_t length = begin_parameters(text, sizeof text, action, member);
  std::snprintf(text + length, sizeof text - length, "}");
  return metric_of(action, action.conflicts_before, text, R"("action")");
}

RunMetric to_metric(const HypertuneOutcome& outcome, std::uint32_t member) {
  char text[FixedText<253>::capacity];
  const std::size_t length = begin_parameters(text, sizeof text, outcome.action, member);
  std::snprintf(text + length, sizeof text - length,
                R"(,"conflicts_before":%)" PRIu64 R"(,"iterations":%)" PRIu64 R"(,"paid":%s})",
                outcome.action.conflicts_before, outcome.iterations,
                outcome.paid ? "true" : "false");
  return metric_of(outcome.action, outcome.conflicts_after, text, R"("outcome")");
}

}  // namespace aatgs
