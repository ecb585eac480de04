// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <string>

namespace aatgs {

/// `check_options` for a solver that counts its slices by their completions: it would wait without
/// end, or stop early, for one that is lost. Throws `OptionError`.
inline void check_solver_options(const ContextOptions& options) {
  check_options(options);
  if (options.telemetry_policy == TelemetryPolicy::block) return;
  const bool drops = options.telemetry_policy == TelemetryPolicy::drop_newest;
  throw OptionError(std::string("telemetry_policy = ") +
                    (drops ? "drop_newest" : "overwrite_oldest") +
                    " for a solver, which needs every completion: leave it at "
                    "TelemetryPolicy::block");
}

/// The same for one that has its context in grid scope, whatever scope is given, with a step that
/// waits for all its blocks.
inline void check_grid_solver_options(ContextOptions options) {
  options.scope = Scope::grid;
  if (options.executor == ExecutorKind::graph_queue) {
    throw OptionError(
        "executor 'graph_queue' for a solver whose step waits for all its blocks, which a graph "
        "cannot have on the GPU at once: name another one, such as launch_queue");
  }
  check_solver_options(options);
}

}  // namespace aatgs
