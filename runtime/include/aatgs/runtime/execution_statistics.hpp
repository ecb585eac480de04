// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace aatgs {

/// How full a ring is, as shares of its slots, 0 to 1. `now` is exact. `mean` and `peak` are
/// sampled (at every 16th config of the first 1024, then at every 256th; of those queued many at
/// once after the last) and take in every moment at which the ring was found full.
struct RingUtilization {
  std::uint32_t slots = 0;
  double now = 0;
  double mean = 0;
  double peak = 0;
};

/// Percentiles of a duration, in nanoseconds, over the first 1024 configs and then one in 64; 0
/// when nothing was measured.
struct LatencyStatistics {
  std::uint64_t count = 0;
  std::uint64_t p50_ns = 0;
  std::uint64_t p99_ns = 0;
  std::uint64_t max_ns = 0;
};

/// What a context has done since it was made or `reset_stats` was called.
/// `submitted == completed + failed + dropped + in_flight` always holds.
struct ExecutionStatistics {
  std::uint64_t submitted = 0;  ///< configs accepted
  std::uint64_t completed = 0;  ///< telemetry collected, status ok
  std::uint64_t failed = 0;     ///< telemetry collected, status failed
  std::uint64_t dropped = 0;    ///< telemetry lost by policy, or config given up by an abort
  std::uint64_t in_flight = 0;  ///< queued, running, or not yet collected

  std::uint64_t sync_iterations = 0;   ///< configs run while the caller waited (launch, graph)
  std::uint64_t async_iterations = 0;  ///< configs run beside the caller (resident, cpu)

  std::uint64_t config_overflows = 0;     ///< attempts to queue that found no room
  std::uint64_t telemetry_overflows = 0;  ///< telemetries lost by a lossy policy
  std::uint64_t gpu_found_idle = 0;       ///< configs queued when nothing was in flight
  /// Times the resident kernel was brought back; of a bounded one all its launches.
  std::uint64_t parks = 0;

  /// On the machine's monotonic clock, 0 if there was none: when the first config was queued and
  /// the last telemetry collected, of those whose latencies are measured (see below).
  std::uint64_t first_queued_ns = 0;
  std::uint64_t last_collected_ns = 0;

  /// Whether `aatgs_stats` can see them; if not, `GpuExecutionContext::published_as` says why.
  bool published = false;

  RingUtilization config_ring;
  RingUtilization telemetry_ring;
  LatencyStatistics queue_to_visible;   ///< host clock: queued to collected
  LatencyStatistics taken_to_finished;  ///< executor's clock: taken to finished
};

}  // namespace aatgs
