// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace aatgs::bench {

/// Starts this program once more, as `be_second_process`, and waits for its end: at most 12 s.
/// Milliseconds of each round of its kernels; empty, with a line for the person, if it failed.
std::vector<double> run_second_process(int device);

/// The other process: rounds of plain kernels, each waited for. Prints the milliseconds of each
/// round. The exit status.
int be_second_process(int device);

}  // namespace aatgs::bench
