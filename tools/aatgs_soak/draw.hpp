// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "segment.hpp"
#include "settings.hpp"

namespace aatgs::soak {

/// Executors that this machine has, as far as the settings allow.
std::vector<ExecutorKind> executors_here(const Settings& settings);

/// A context under a stream of configs: rings, policies, pauses and ports at random. At most `left`
/// configs; `goal` is of the whole part, of which it takes no large share.
SegmentPlan draw_stream(Random& random, const Settings& settings, Scope scope, std::uint64_t left,
                        std::uint64_t goal);

/// A short life with a random end.
SegmentPlan draw_cycle(Random& random, const Settings& settings);

/// A load that goes on until an abort at a random moment.
SegmentPlan draw_abort(Random& random, const Settings& settings);

/// A load without pauses for so long.
SegmentPlan draw_steady(Random& random, const Settings& settings, Scope scope,
                        std::chrono::nanoseconds run_for);

}  // namespace aatgs::soak
