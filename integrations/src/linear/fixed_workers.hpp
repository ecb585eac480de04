// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <algorithm>
#include <thread>

namespace aatgs::linear {

/// Options of a grid-scope context that has one block for each part of a solver's data, so their
/// number is fixed here.
inline ContextOptions fix_workers(ContextOptions options, const ExecutorChoice& choice) {
  options.scope = Scope::grid;
  options.executor = choice.kind;
  if (is_on_host(choice.kind)) {
    if (options.cpu_threads == 0) {
      options.cpu_threads = std::max(1U, std::thread::hardware_concurrency());
    }
  } else if (options.workers == 0) {
    options.workers = gpu_multiprocessors(options.device);
    // Where a block fills an SM, the service block of a resident kernel needs one of its own.
    if (choice.kind == ExecutorKind::resident) --options.workers;
  }
  return options;
}

}  // namespace aatgs::linear
