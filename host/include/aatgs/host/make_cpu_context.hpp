// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cpu_residency.hpp>
#include <aatgs/host/gpu_execution_context.hpp>
#include <memory>

namespace aatgs {

/// A step that uses what only a GPU has (warp intrinsics, tensor cores) declares
/// `static constexpr bool device_only = true`.
template <class Step>
constexpr bool is_device_only() {
  if constexpr (requires { Step::device_only; }) {
    return Step::device_only;
  } else {
    return false;
  }
}

/// The cpu executor for a step.
template <class Config, class Telemetry, class Step>
std::unique_ptr<Executor<Config, Telemetry>> make_cpu_executor(const Step& step,
                                                               const ContextOptions& options) {
  require_message<Config>();
  require_message<Telemetry>();
  require_step<Step>();
  static_assert(!is_device_only<Step>(),
                "AATGS: this step is device-only (it says device_only = true), so the cpu executor "
                "cannot run it; ask for a GPU executor");
  constexpr auto kind = MemoryKind::host;
  auto memory = std::make_unique<RingMemory>(kind, options, MessageBuffer<Config>::granules,
                                             MessageBuffer<CompletionRecord<Telemetry>>::granules,
                                             cpu_thread_count(options));
  auto residency = std::make_unique<CpuResidency<Step, Config, Telemetry>>(*memory, step, options);
  auto no_parking = options;
  no_parking.park_after = {};
  return std::make_unique<RingExecutor<Config, Telemetry>>(std::move(memory), std::move(residency),
                                                           no_parking);
}

/// A context on CPU threads, for code without nvcc. `options.executor` must be `cpu` or
/// `automatic`. Throws `OptionError`.
template <class Config, class Telemetry, class Step>
GpuExecutionContext<Config, Telemetry> make_cpu_context(const Step& step,
                                                        const ContextOptions& options = {}) {
  check_options(options);
  if (options.executor != ExecutorKind::cpu && options.executor != ExecutorKind::automatic) {
    throw OptionError("make_cpu_context was asked for the executor '" +
                      std::string(to_string(options.executor)) +
                      "': it only makes 'cpu'; use make_context in a .cu file for the others");
  }
  return {make_cpu_executor<Config, Telemetry>(step, options),
          {ExecutorKind::cpu, "the program asked for CPU threads"},
          options};
}

}  // namespace aatgs
