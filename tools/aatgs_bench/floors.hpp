// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "samples.hpp"

namespace aatgs::bench {

/// One host thread and one GPU thread pass a 4-byte flag to and fro in mapped memory: the least that
/// any hand-off over the bus costs.
Figure flag_ping_pong(int device, unsigned rounds);

/// Barriers of one block on each SM, `threads` threads each: one atomic add, then polling it; the
/// fastest of the kinds that we know. Measured in batches by the GPU's timer.
Figure grid_barrier(int device, unsigned threads, unsigned batches);

}  // namespace aatgs::bench
