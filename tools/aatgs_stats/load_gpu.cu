// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_context.cuh>

#include "load_run.hpp"

namespace aatgs {
namespace {

/// Only executors with rings in memory: the others would take minutes more to compile.
template <class Telemetry>
GpuExecutionContext<LoadConfig, Telemetry> make_load_context(ContextOptions options) {
  check_options(options);
  ExecutorChoice choice = choose_executor(options.executor, options.device);
  options.executor = choice.kind;
  if (choice.kind == ExecutorKind::cpu) {
    return {make_cpu_executors<LoadConfig, Telemetry>(LoadStep{}, options), std::move(choice),
            options};
  }
  if (choice.kind == ExecutorKind::resident) {
    return {make_resident_executors<LoadConfig, Telemetry>(LoadStep{}, options), std::move(choice),
            options};
  }
  throw OptionError("the built-in load was asked for the executor '" +
                    std::string(to_string(choice.kind)) + "', which has no rings to tune: choose " +
                    "automatic, resident or cpu");
}

}  // namespace

Measurement run_load(const Load& load, const ContextOptions& options) {
  return run_load_on(load, options, [&](auto telemetry) {
    return make_load_context<decltype(telemetry)>(options);
  });
}

}  // namespace aatgs
