// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cpu_residency.hpp>
#include <aatgs/host/cpu_step_launcher.hpp>
#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/ring_executor.hpp>
#include <aatgs/host/triple_buffer_executor.hpp>
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

/// Throws `OptionError` for a step that is for grid scope alone (`grid_only`) in block scope.
template <class Step>
void check_scope_of(const ContextOptions& options) {
  if (!step_grid_only<Step>() || options.scope == Scope::grid) return;
  throw OptionError("scope = " + std::string(to_string(options.scope)) +
                    " for a step that says grid_only = true: give Scope::grid");
}

/// The cpu executor for a step, by ports.
template <class Config, class Telemetry, class Step>
std::vector<std::unique_ptr<Executor<Config, Telemetry>>> make_cpu_executors(
    const Step& step, const ContextOptions& options) {
  require_message<Config>();
  require_message<Telemetry>();
  require_step<Step>();
  static_assert(!is_device_only<Step>(),
                "AATGS: this step is device-only (it says device_only = true), so the cpu executor "
                "cannot run it; ask for a GPU executor");
  constexpr MessageSizes sizes{MessageBuffer<Config>::granules,
                               MessageBuffer<CompletionRecord<Telemetry>>::granules};
  const std::uint32_t threads = cpu_thread_count(options);
  if (threads < options.ports) {
    throw OptionError("cpu_threads = " + std::to_string(threads) + " for ports = " +
                      std::to_string(options.ports) + ": each port needs a thread that serves it");
  }
  auto memory = std::make_unique<ResidentMemory>(MemoryKind::host, options, sizes, threads);
  const auto residency =
      std::make_shared<CpuResidency<Step, Config, Telemetry>>(std::move(memory), step, options);
  return make_ring_executors<Config, Telemetry>(residency, options);
}

/// The triple buffers of a step on host threads, by ports.
template <class Config, class Telemetry, class Step>
std::vector<std::unique_ptr<Executor<Config, Telemetry>>> make_cpu_triple_buffers(
    const Step& step, const ContextOptions& options) {
  static_assert(!is_device_only<Step>(),
                "AATGS: this step is device-only (it says device_only = true), so host threads "
                "cannot run it; ask for a GPU executor");
  const auto orders = std::make_shared<CpuLaunchOrders>();
  return make_triple_buffer_executors<Config, Telemetry>(
      make_cpu_stream_device(), options, [&]() -> std::shared_ptr<StepLauncher<Config, Telemetry>> {
        return std::make_shared<CpuStepLauncher<Config, Telemetry, Step>>(step, options, orders);
      });
}

/// A context on CPU threads, for code without nvcc. `options.executor` must be `cpu`,
/// `cpu_triple_buffer` or `automatic`. Throws `OptionError`.
template <class Config, class Telemetry, class Step>
GpuExecutionContext<Config, Telemetry> make_cpu_context(const Step& step,
                                                        const ContextOptions& options = {}) {
  require_message<Config>();
  require_message<Telemetry>();
  require_step<Step>();
  check_options(options);
  check_scope_of<Step>(options);
  if (options.executor == ExecutorKind::cpu_triple_buffer) {
    return {make_cpu_triple_buffers<Config, Telemetry>(step, options),
            {ExecutorKind::cpu_triple_buffer, "the program asked for streams of host threads"},
            options};
  }
  if (options.executor != ExecutorKind::cpu && options.executor != ExecutorKind::automatic) {
    throw OptionError("make_cpu_context was asked for the executor '" +
                      std::string(to_string(options.executor)) +
                      "': it only makes 'cpu' and 'cpu_triple_buffer'; use make_context in a .cu "
                      "file for the others");
  }
  return {make_cpu_executors<Config, Telemetry>(step, options),
          {ExecutorKind::cpu, "the program asked for CPU threads"},
          options};
}

}  // namespace aatgs
