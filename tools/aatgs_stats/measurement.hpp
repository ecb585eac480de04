// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <aatgs/runtime/execution_statistics.hpp>
#include <functional>
#include <span>
#include <string>

namespace aatgs {

/// What a run of a workload is given.
struct Setting {
  std::uint32_t config_slots = 1024;
  std::uint32_t telemetry_slots = 1024;
  ConfigPolicy config_policy = ConfigPolicy::block;
  TelemetryPolicy telemetry_policy = TelemetryPolicy::block;
};

/// What came of it.
struct Measurement {
  Setting setting;
  std::string executor;
  std::uint64_t collected = 0;  ///< telemetries
  double seconds = 0;           ///< from queueing the first config to collecting the last telemetry
  double per_second = 0;        ///< telemetries collected
  std::uint64_t p50_ns = 0;     ///< from queueing a config to its telemetry
  std::uint64_t p99_ns = 0;
  RingUtilization config_ring;
  RingUtilization telemetry_ring;
  std::uint64_t config_overflows = 0;
  std::uint64_t telemetry_overflows = 0;
};

/// Runs the workload once.
using Runner = std::function<Measurement(const Setting&)>;

/// What the contexts of one run did together: sums, the fullest rings, the longest latencies.
Measurement measurement_of(const Setting& setting, std::span<const ExecutionStatistics> contexts);

/// Configs that a run must have at least: the rings are looked at every 16th.
inline constexpr std::uint64_t fewest_configs = 160;

std::string_view name_of(ConfigPolicy policy);
std::string_view name_of(TelemetryPolicy policy);
/// Parse these names. Throw `OptionError` that lists the choices.
ConfigPolicy parse_config_policy(std::string_view text);
TelemetryPolicy parse_telemetry_policy(std::string_view text);

}  // namespace aatgs
