// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/graph_line.cuh>
#include <aatgs/host/line_executor.hpp>
#include <memory>

namespace aatgs {

/// Executor `graph_queue`: configs are gathered into CUDA graphs of steps, one of them on its way,
/// and the host polls for their completions, which a graph publishes together at its end; one of 32
/// steps or more publishes the first 7 of 8 before. Grid scope, for steps that say
/// `grid_sync = false`.
template <class Config, class Telemetry, class Step>
using GraphQueue = LineExecutor<Config, Telemetry, detail::GraphLine<Config, Telemetry, Step>>;

/// Throws `OptionError` for a step that may wait for all its blocks.
template <class Config, class Telemetry, class Step>
std::unique_ptr<Executor<Config, Telemetry>> make_graph_queue(const Step& step,
                                                              const ContextOptions& options) {
  if constexpr (step_grid_sync<Step>()) {
    throw OptionError(
        "executor 'graph_queue' for a step that may wait for all its blocks, which a graph cannot "
        "have on the GPU at once: let the step say `static constexpr bool grid_sync = false` if it "
        "never does, or name another executor");
  } else {
    return std::make_unique<GraphQueue<Config, Telemetry, Step>>(
        std::make_unique<detail::GraphLine<Config, Telemetry, Step>>(step, options));
  }
}

}  // namespace aatgs
