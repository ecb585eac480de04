// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/config_ring.hpp>
#include <aatgs/runtime/resident_state.hpp>
#include <aatgs/runtime/telemetry_ring.hpp>
#include <cstdint>

namespace aatgs {

/// What the host says of the configs to come, so that workers know when to look for them.
struct Feed {
  /// Tickets below it come in a stream: the host queues them without waiting for the ones before,
  /// or has queued them already. From there on it queues each only when it has seen all telemetry
  /// before, so that looking for it while a step runs is in vain. When it does otherwise, it says
  /// so here.
  std::uint64_t end;
  std::uint64_t window;  ///< of a stream: how many tickets to look for at once
};

/// One host thread's way to the workers and back, as both sides see it. Does not own the memory.
struct Port {
  ConfigRing config;
  TelemetryRing telemetry;
  PortState* state;  ///< the workers'
  Granule* feed;     ///< holds a `Feed`; host writes
};

/// Host: says it to the workers.
inline void tell_feed(const Port& port, const Feed& feed) {
  store_granule(port.feed, {feed.end, feed.window});
}
/// What a granule says that was written so.
AATGS_HOST_DEVICE constexpr Feed to_feed(const Granule& g) {
  return {g.low, g.high};
}

/// The most ports that a context can have: each is a lane of the service block's warp.
inline constexpr std::uint32_t max_ports = 16;

}  // namespace aatgs
