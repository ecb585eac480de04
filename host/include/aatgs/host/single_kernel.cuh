// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/single_launch.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/launch_orders.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/step_launcher.hpp>
#include <memory>
#include <string>

namespace aatgs {

/// The kernel that runs one config and ends, with the memory that it needs. Launches share this
/// memory: one after the other, in one stream.
template <class Config, class Telemetry, class Step>
class SingleKernel {
 public:
  using Input = StepInput<Config>;
  using Record = CompletionRecord<Telemetry>;

  SingleKernel(const Step& step, const ContextOptions& options,
               std::shared_ptr<LaunchOrders> orders)
      : step_(step),
        device_(options.device),
        is_grid_(options.scope == Scope::grid),
        kernel_(is_grid_ ? &device::single_grid_kernel<Step, Config, Telemetry>
                         : &device::single_block_kernel<Step, Config, Telemetry>),
        shape_(size_kernel(kernel_, options.device, step_block_threads<Step>(),
                           step_scratch_bytes(step), is_grid_ ? options.workers : 1, is_grid_, 0)),
        orders_(std::move(orders)),
        control_(MemoryKind::mapped, 1, options.device),
        state_(MemoryKind::device, 1, options.device),
        cells_(MemoryKind::device, 2 * std::size_t{shape_.blocks}, options.device),
        args_{control_.data(), orders_->words.data(), state_.data(), cells_.data(),
              static_cast<std::uint64_t>(options.step_deadline.count())} {}

  /// Both in the GPU's memory. Throws `DeviceError`.
  void launch(cudaStream_t stream, const Input* input, Record* record) {
    const Config* config = &input->config;
    const std::uint64_t* ticket = &input->ticket;
    void* arguments[] = {&args_, &step_, &config, &ticket, &record};
    const auto* function = reinterpret_cast<const void*>(kernel_);
    AATGS_CUDA(
        is_grid_ ? cudaLaunchCooperativeKernel(function, dim3(shape_.blocks), dim3(shape_.threads),
                                               arguments, shape_.scratch_bytes, stream)
                 : cudaLaunchKernel(function, dim3(1), dim3(shape_.threads), arguments,
                                    shape_.scratch_bytes, stream),
        "launching the step");
  }

  [[nodiscard]] LaunchOrders& orders() const { return *orders_; }
  /// Where a wait of the device was given up, as a sentence that follows another; or nothing.
  [[nodiscard]] std::string wedged() const { return describe(control_.data()->hang); }
  /// Such as "NVIDIA H200, 1 block of 128 threads".
  [[nodiscard]] std::string description() const {
    return gpu_name(device_) + ", " + std::to_string(shape_.blocks) +
           (shape_.blocks == 1 ? " block of " : " blocks of ") + std::to_string(shape_.threads) +
           " threads";
  }
  /// A launch that cannot be ended works on the memory for as long as the process lasts.
  void abandon() noexcept {
    orders_->words.abandon();
    control_.abandon();
    state_.abandon();
    cells_.abandon();
  }

 private:
  using Kernel = void (*)(device::SingleArgs, Step, const Config*, const std::uint64_t*, Record*);

  Step step_;
  int device_;
  bool is_grid_;
  Kernel kernel_;
  KernelShape shape_;
  std::shared_ptr<LaunchOrders> orders_;
  Buffer<ControlBlock> control_;
  Buffer<ResidentState> state_;
  Buffer<device::GridCell> cells_;
  device::SingleArgs args_;
};

}  // namespace aatgs
