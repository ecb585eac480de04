// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/managed_options.hpp>
#include <aatgs/host/stream/async_coordinator.hpp>
#include <aatgs/host/stream/pipeline_gpu_state.hpp>
#include <aatgs/host/stream/stream_pool.hpp>
#include <memory>
#include <optional>

namespace aatgs {

/// What a `ManagedGpuContext` has of streams, each part made when it is first asked for. One thread
/// at a time. All throw `UseError` if `async` is off.
class ManagedStreams {
 public:
  /// `on_host`: streams of host threads.
  ManagedStreams(const ManagedOptions& options, bool on_host)
      : options_(options), on_host_(on_host) {}

  [[nodiscard]] bool are_on() const noexcept { return options_.async; }
  [[nodiscard]] const std::shared_ptr<StreamDevice>& device(const char* wanted);
  [[nodiscard]] StreamPool& pool();
  [[nodiscard]] AsyncCoordinator& coordinator();
  [[nodiscard]] PipelineGpuState& phases();

 private:
  ManagedOptions options_;
  bool on_host_;
  std::shared_ptr<StreamDevice> device_;
  std::unique_ptr<StreamPool> pool_;
  std::unique_ptr<AsyncCoordinator> coordinator_;
  std::optional<PipelineGpuState> phases_;
};

}  // namespace aatgs
