// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/event_ring.hpp>
#include <cstdint>
#include <vector>

namespace aatgs {

/// What workers did since it was last asked for.
struct WorkerEvents {
  std::vector<WorkerEvent> events;  ///< in no order
  std::uint64_t dropped = 0;        ///< events for which the ring had no room
};

}  // namespace aatgs
