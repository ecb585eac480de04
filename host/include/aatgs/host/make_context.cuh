// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/automatic_executor.hpp>
#include <aatgs/host/batch_roads.cuh>
#include <aatgs/host/gpu_residency.cuh>
#include <aatgs/host/gpu_step_launcher.cuh>
#include <aatgs/host/graph_queue.cuh>
#include <aatgs/host/launch_queue.cuh>
#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/single_executor.cuh>

namespace aatgs {

/// Executors of one context, by ports.
template <class Config, class Telemetry>
using Executors = std::vector<std::unique_ptr<Executor<Config, Telemetry>>>;

/// The resident kernel of a step.
template <class Config, class Telemetry, class Step>
auto resident_kernel(bool grid) {
  constexpr unsigned threads = step_block_threads<Step>();
  if constexpr (step_grid_only<Step>()) {
    return &device::resident_grid_kernel<Step, Config, Telemetry>;  // see check_scope_of
  } else {
    auto* kernel = &device::resident_block_kernel<Step, Config, Telemetry>;
    if constexpr (threads >= 64) {
      if (grid) kernel = &device::resident_grid_kernel<Step, Config, Telemetry>;
    } else if (grid) {
      throw OptionError(
          "Scope::grid needs a step with block_threads of at least 64, this one has " +
          std::to_string(threads));
    }
    return kernel;
  }
}

/// The resident executor for a step.
template <class Config, class Telemetry, class Step>
Executors<Config, Telemetry> make_resident_executors(const Step& step,
                                                     const ContextOptions& options) {
  constexpr MessageSizes sizes{MessageBuffer<Config>::granules,
                               MessageBuffer<CompletionRecord<Telemetry>>::granules};
  constexpr unsigned threads = step_block_threads<Step>();
  const bool grid = options.scope == Scope::grid;
  auto* kernel = resident_kernel<Config, Telemetry, Step>(grid);
  const KernelShape shape = size_kernel(kernel, options.device, threads, step_scratch_bytes(step),
                                        options.workers, grid, 1);
  const std::uint32_t workers = shape.blocks - 1;
  if (workers < options.ports) {
    throw OptionError("workers = " + std::to_string(workers) + " for ports = " +
                      std::to_string(options.ports) + ": each port needs a block that serves it");
  }
  const ResidentPlan plan = plan_resident(reinterpret_cast<const void*>(kernel), shape.blocks,
                                          shape.threads, shape.scratch_bytes, options, sizes);
  ResidentLease lease = preflight_resident(plan);
  auto memory = std::make_unique<ResidentMemory>(MemoryKind::device, options, sizes, workers);
  const auto residency =
      std::make_shared<GpuResidency<Step>>(kernel, shape, std::move(memory), step, options,
                                           sizes.config_granules, plan, std::move(lease));
  return make_ring_executors<Config, Telemetry>(residency, options);
}

/// The triple buffers of a step on a GPU.
template <class Config, class Telemetry, class Step>
Executors<Config, Telemetry> make_triple_buffers(const Step& step, const ContextOptions& options) {
  const auto orders = std::make_shared<LaunchOrders>(options.device);
  return make_triple_buffer_executors<Config, Telemetry>(
      make_gpu_stream_device(options.device), options,
      [&]() -> std::shared_ptr<StepLauncher<Config, Telemetry>> {
        return std::make_shared<GpuStepLauncher<Config, Telemetry, Step>>(step, options, orders);
      });
}

/// Loads all kernels that `automatic` may come to: later on, another context's resident kernel may
/// be on the GPU, for which lazy loading would wait.
template <class Config, class Telemetry, class Step>
void load_kernels() {
  const auto load = [](auto* kernel) {
    cudaFuncAttributes attributes{};
    AATGS_CUDA(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)),
               "loading the step's kernels");
  };
  load(&device::resident_block_kernel<Step, Config, Telemetry>);
  load(&device::queued_block_kernel<Step, Config, Telemetry>);
  load(&device::queued_grid_kernel<Step, Config, Telemetry>);
  load(&device::batch_block_kernel<Step, Config, Telemetry>);
  if constexpr (step_block_threads<Step>() >= 64) {
    load(&device::resident_grid_kernel<Step, Config, Telemetry>);
  }
  if constexpr (!step_grid_sync<Step>()) {
    load(&device::batch_graph_kernel<Step, Config, Telemetry>);
    load(&device::publish_graph_kernel<Config, Telemetry>);
  }
}

/// With fewer configs in flight, a graph takes longer to begin and end (5 to 9 us) than it saves
/// its steps (0.3 us each, H200), so that it need not be measured.
inline constexpr std::uint64_t least_depth_of_graphs = 32;

/// The executor that measures the others. One port.
template <class Config, class Telemetry, class Step>
Executors<Config, Telemetry> make_automatic_executor(const Step& step, const std::string& why,
                                                     const ContextOptions& options) {
  using OneExecutor = std::unique_ptr<Executor<Config, Telemetry>>;
  const auto at = [options](std::uint64_t first_ticket) {
    ContextOptions here = options;
    here.first_ticket = first_ticket;
    return here;
  };
  std::vector<Candidate<Config, Telemetry>> candidates{
      {ExecutorKind::resident,
       [=](std::uint64_t ticket) -> OneExecutor {
         return std::move(make_resident_executors<Config, Telemetry>(step, at(ticket)).front());
       }},
      {ExecutorKind::launch_queue, [=](std::uint64_t ticket) -> OneExecutor {
         return std::move(make_launch_queues<Config, Telemetry>(step, at(ticket)).front());
       }}};
  if (options.scope == Scope::grid && !step_grid_sync<Step>()) {
    candidates.push_back({ExecutorKind::graph_queue,
                          [=](std::uint64_t ticket) -> OneExecutor {
                            return make_graph_queue<Config, Telemetry>(step, at(ticket));
                          },
                          least_depth_of_graphs});
  }
  typename AutomaticExecutor<Config, Telemetry>::MakeBatchRoad make_batch;
  if (options.scope == Scope::block || !step_grid_sync<Step>()) {
    make_batch = [=] { return make_batch_road<Config, Telemetry>(step, options); };
  }
  detail::select_device(options.device);
  load_kernels<Config, Telemetry, Step>();
  Executors<Config, Telemetry> executors;
  executors.push_back(std::make_unique<AutomaticExecutor<Config, Telemetry>>(
      std::move(candidates), why, options, std::move(make_batch)));
  return executors;
}

template <class Config, class Telemetry, class Step>
Executors<Config, Telemetry> make_executors(const Step& step, const ExecutorChoice& choice,
                                            const ContextOptions& options) {
  if (options.executor == ExecutorKind::automatic) {
    return make_automatic_executor<Config, Telemetry>(step, choice.reason, options);
  }
  if (choice.kind == ExecutorKind::resident) {
    return make_resident_executors<Config, Telemetry>(step, options);
  }
  if (choice.kind == ExecutorKind::launch_queue) {
    return make_launch_queues<Config, Telemetry>(step, options);
  }
  if (choice.kind == ExecutorKind::graph_queue) {
    Executors<Config, Telemetry> executors;
    executors.push_back(make_graph_queue<Config, Telemetry>(step, options));
    return executors;
  }
  if (choice.kind == ExecutorKind::triple_buffer) {
    return make_triple_buffers<Config, Telemetry>(step, options);
  }
  if (is_on_host(choice.kind)) {
    if constexpr (is_device_only<Step>()) {
      throw OptionError("executor '" + std::string(to_string(choice.kind)) + "' (" + choice.reason +
                        ") for a step that is device-only: run it on a GPU");
    } else {
      return choice.kind == ExecutorKind::cpu
                 ? make_cpu_executors<Config, Telemetry>(step, options)
                 : make_cpu_triple_buffers<Config, Telemetry>(step, options);
    }
  }
  const auto orders = std::make_shared<LaunchOrders>(options.device);
  Executors<Config, Telemetry> executors;
  for (std::uint32_t port = 0; port < options.ports; ++port) {
    executors.push_back(
        std::make_unique<SingleExecutor<Config, Telemetry, Step>>(step, options, orders));
  }
  return executors;
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
  check_scope_of<Step>(options);
  ExecutorChoice choice = choose_executor(options.executor, options.device);
  ContextOptions chosen = options;
  const bool measures = options.executor == ExecutorKind::automatic &&
                        choice.kind == ExecutorKind::resident && can_measure(options);
  if (!measures) chosen.executor = choice.kind;
  return {make_executors<Config, Telemetry>(step, choice, chosen), std::move(choice), chosen};
}

}  // namespace aatgs
