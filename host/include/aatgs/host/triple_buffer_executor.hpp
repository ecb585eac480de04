// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/step_line.hpp>
#include <aatgs/host/line_executor.hpp>
#include <aatgs/host/step_launcher.hpp>
#include <memory>
#include <vector>

namespace aatgs {

/// Executor `triple_buffer`: config up, step and telemetry down in a stream each, through a
/// `GpuTripleBuffer`; `buffer_slots` steps are on their way at once and run one after the other.
template <class Config, class Telemetry>
using TripleBufferExecutor = LineExecutor<Config, Telemetry, detail::StepLine<Config, Telemetry>>;

/// The executors of all ports; `make(port)` gives each its launcher.
template <class Config, class Telemetry, class Make>
std::vector<std::unique_ptr<Executor<Config, Telemetry>>> make_triple_buffer_executors(
    const std::shared_ptr<StreamDevice>& device, const ContextOptions& options, Make make) {
  using Line = detail::StepLine<Config, Telemetry>;
  std::vector<std::unique_ptr<Executor<Config, Telemetry>>> executors;
  for (std::uint32_t port = 0; port < options.ports; ++port) {
    executors.push_back(std::make_unique<TripleBufferExecutor<Config, Telemetry>>(
        std::make_unique<Line>(device, make(), options)));
  }
  return executors;
}

}  // namespace aatgs
