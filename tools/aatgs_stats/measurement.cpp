// SPDX-License-Identifier: Apache-2.0
#include "measurement.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <array>
#include <limits>

namespace aatgs {
namespace {

constexpr std::array config_policies = {ConfigPolicy::block, ConfigPolicy::reject};
constexpr std::array telemetry_policies = {TelemetryPolicy::block, TelemetryPolicy::drop_newest,
                                           TelemetryPolicy::overwrite_oldest};

template <class Policies>
auto parse(const Policies& policies, std::string_view what, std::string_view text) {
  std::string choices;
  for (const auto policy : policies) {
    if (name_of(policy) == text) return policy;
    choices += (choices.empty() ? "" : ", ") + std::string(name_of(policy));
  }
  throw OptionError("unknown " + std::string(what) + " policy '" + std::string(text) +
                    "': choose among " + choices);
}

void take_fullest(RingUtilization& ring, const RingUtilization& other) {
  ring.slots = other.slots;
  ring.mean = std::max(ring.mean, other.mean);
  ring.peak = std::max(ring.peak, other.peak);
}

}  // namespace

Measurement measurement_of(const Setting& setting, std::span<const ExecutionStatistics> contexts) {
  Measurement m;
  m.setting = setting;
  std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t last = 0;
  for (const ExecutionStatistics& s : contexts) {
    m.collected += s.completed + s.failed;
    m.config_overflows += s.config_overflows;
    m.telemetry_overflows += s.telemetry_overflows;
    m.p50_ns = std::max(m.p50_ns, s.queue_to_visible.p50_ns);
    m.p99_ns = std::max(m.p99_ns, s.queue_to_visible.p99_ns);
    take_fullest(m.config_ring, s.config_ring);
    take_fullest(m.telemetry_ring, s.telemetry_ring);
    if (s.first_queued_ns != 0) first = std::min(first, s.first_queued_ns);
    last = std::max(last, s.last_collected_ns);
  }
  if (last > first) m.seconds = static_cast<double>(last - first) / 1e9;
  if (m.seconds > 0) m.per_second = static_cast<double>(m.collected) / m.seconds;
  return m;
}

std::string_view name_of(ConfigPolicy policy) {
  if (policy == ConfigPolicy::block) return "block";
  return policy == ConfigPolicy::reject ? "reject" : "unknown";
}

std::string_view name_of(TelemetryPolicy policy) {
  switch (policy) {
    case TelemetryPolicy::block:
      return "block";
    case TelemetryPolicy::drop_newest:
      return "drop_newest";
    case TelemetryPolicy::overwrite_oldest:
      return "overwrite_oldest";
  }
  return "unknown";
}

ConfigPolicy parse_config_policy(std::string_view text) {
  return parse(config_policies, "config", text);
}
TelemetryPolicy parse_telemetry_policy(std::string_view text) {
  return parse(telemetry_policies, "telemetry", text);
}

}  // namespace aatgs
