// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/single_kernel.cuh>
#include <aatgs/host/step_launcher.hpp>
#include <memory>
#include <string>
#include <utility>

namespace aatgs {

/// Steps as launches into a CUDA stream.
template <class Config, class Telemetry, class Step>
class GpuStepLauncher final : public StepLauncher<Config, Telemetry> {
 public:
  GpuStepLauncher(const Step& step, const ContextOptions& options,
                  std::shared_ptr<LaunchOrders> orders)
      : kernel_(step, options, std::move(orders)) {}

  void launch(StreamTarget target, const StepInput<Config>* input,
              CompletionRecord<Telemetry>* record) override {
    kernel_.launch(static_cast<cudaStream_t>(target.native), input, record);
  }
  [[nodiscard]] std::string description() const override { return kernel_.description(); }

  void end() override { kernel_.orders().has_ended = true; }
  [[nodiscard]] bool has_ended() const override { return kernel_.orders().has_ended; }
  void request_abort() override { kernel_.orders().request_abort(); }

  [[nodiscard]] std::string wedged() const override { return kernel_.wedged(); }
  void abandon() noexcept override { kernel_.abandon(); }

 private:
  SingleKernel<Config, Telemetry, Step> kernel_;
};

}  // namespace aatgs
