// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_residency.cuh>
#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/single_executor.cuh>

namespace aatgs {

/// The resident executor for a step.
template <class Config, class Telemetry, class Step>
std::unique_ptr<Executor<Config, Telemetry>> make_resident_executor(const Step& step,
                                                                    const ContextOptions& options) {
  using Record = CompletionRecord<Telemetry>;
  constexpr std::uint32_t config_granules = MessageBuffer<Config>::granules;
  constexpr unsigned threads = step_block_threads<Step>();
  const bool grid = options.scope == Scope::grid;
  auto* kernel = &device::resident_block_kernel<Step, Config, Telemetry>;
  if constexpr (threads >= 64) {
    if (grid) kernel = &device::resident_grid_kernel<Step, Config, Telemetry>;
  } else if (grid) {
    throw OptionError("Scope::grid needs a step with block_threads of at least 64, this one has " +
                      std::to_string(threads));
  }
  const KernelShape shape = size_kernel(kernel, options.device, threads, step_scratch_bytes(step),
                                        options.workers, grid, 1);
  const std::uint32_t workers = shape.blocks - 1;
  auto memory = std::make_unique<RingMemory>(MemoryKind::device, options, config_granules,
                                             MessageBuffer<Record>::granules, workers);
  auto residency =
      std::make_unique<GpuResidency<Step>>(kernel, shape, *memory, step, options, config_granules);
  return std::make_unique<RingExecutor<Config, Telemetry>>(std::move(memory), std::move(residency),
                                                           options);
}

/// A context whose step is `step`, on the executor that the options name. In a .cu file.
/// Throws `OptionError`, `DeviceError`.
template <class Config, class Telemetry, class Step>
GpuExecutionContext<Config, Telemetry> make_context(const Step& step,
                                                    const ContextOptions& options = {}) {
  require_message<Config>();
  require_message<Telemetry>();
  require_step<Step>();
  check_options(options);
  ExecutorChoice choice = choose_executor(options.executor, options.device);
  ContextOptions chosen = options;
  chosen.executor = choice.kind;
  std::unique_ptr<Executor<Config, Telemetry>> executor;
  if (choice.kind == ExecutorKind::resident) {
    executor = make_resident_executor<Config, Telemetry>(step, chosen);
  } else if (choice.kind == ExecutorKind::cpu) {
    if constexpr (is_device_only<Step>()) {
      throw OptionError("executor 'cpu' (" + choice.reason +
                        ") for a step that is device-only: run it on a GPU");
    } else {
      executor = make_cpu_executor<Config, Telemetry>(step, chosen);
    }
  } else {
    executor = std::make_unique<SingleExecutor<Config, Telemetry, Step>>(step, chosen);
  }
  return {std::move(executor), std::move(choice), chosen};
}

}  // namespace aatgs
