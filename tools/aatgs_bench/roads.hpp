// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>

#include "samples.hpp"

namespace aatgs::bench {

/// One 256-byte config to its 64-byte telemetry, the next queued when that is seen.
Figure closed_loop(const ContextOptions& options, unsigned rounds);

/// Time per config with `depth` configs in flight, in batches; every telemetry checked.
Figure fed(const ContextOptions& options, unsigned depth, unsigned batches);

/// Configs per second (not microseconds) through one ring from one host thread, in batches; every
/// telemetry checked.
Figure throughput(const ContextOptions& options, unsigned batches);

}  // namespace aatgs::bench
