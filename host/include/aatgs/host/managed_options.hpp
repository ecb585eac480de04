// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/stream/pipeline_gpu_state.hpp>
#include <aatgs/host/stream/stream_pool.hpp>
#include <chrono>
#include <optional>
#include <string_view>

namespace aatgs {

/// How a solver's steps are run.
enum class StepMode {
  sync,             ///< one at a time: copy, launch, copy, wait
  triple_buffered,  ///< the copies of some beside the step of another
  resident,         ///< by a kernel that stays on the GPU
};
std::string_view to_string(StepMode mode);
/// Parses what `to_string` prints. Throws `OptionError` that lists the choices.
StepMode parse_step_mode(std::string_view text);

/// Options of a `ManagedGpuContext`. Nothing is checked here, but when one is made.
struct ManagedOptions {
  ContextOptions context{};  ///< `executor`: left to `step_mode`, or given and that left empty
  std::optional<StepMode> step_mode{};
  /// Steps and streams on host threads, where the same code runs without a GPU.
  bool host_threads = false;
  /// Whether it manages streams, which it makes when they are first asked for.
  bool async = true;
  StreamPoolOptions streams{};  ///< by purpose
  PipelineGpuOptions phases{};  ///< `StreamMode`, and the streams of a solver's phases
  /// Longest wait for one step.
  std::chrono::nanoseconds deadline = std::chrono::seconds(60);
};

/// Options of the context beneath: its executor is what step mode and host threads come to. Throws
/// `OptionError` where these and an executor contradict each other.
ContextOptions context_options(const ManagedOptions& options);

/// Where the memory has to lie that the steps work on. Throws `OptionError`, `DeviceError`.
MemoryKind memory_of(const ManagedOptions& options);

}  // namespace aatgs
