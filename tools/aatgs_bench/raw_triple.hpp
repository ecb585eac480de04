// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace aatgs::bench {

/// Microseconds of a step of upload, spinning kernel and download, `slots` of them in flight, by
/// CUDA's own calls alone: what a `GpuTripleBuffer` can reach.
double raw_triple_step_us(int device, std::size_t bytes, double kernel_us, int steps,
                          unsigned slots);

}  // namespace aatgs::bench
