// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_block.cuh>
#include <aatgs/device/resident_grid.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/residency.hpp>
#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

namespace aatgs {

/// The persistent kernel at the far end of the rings. `Kernel` is `resident_block_kernel` or
/// `resident_grid_kernel` of the step.
template <class Step>
class GpuResidency final : public Residency {
 public:
  using Kernel = void (*)(device::ResidentArgs, Step);

  /// `shape.blocks` is the workers and one service block.
  GpuResidency(Kernel kernel, const KernelShape& shape, std::unique_ptr<ResidentMemory> memory,
               const Step& step, const ContextOptions& options, std::uint32_t config_granules)
      : Residency(std::move(memory)),
        kernel_(kernel),
        shape_(shape),
        step_(step),
        control_(this->memory().control()),
        device_(options.device),
        claims_(MemoryKind::device, shape.blocks - 1, options.device),
        cells_(MemoryKind::device, 2 * std::size_t{shape.blocks}, options.device),
        staging_(MemoryKind::device, std::size_t{device::staging_slots} * (config_granules + 1),
                 options.device) {
    claims_.upload(std::vector<std::uint64_t>(claims_.size(), no_ticket));
    for (const PortMemory& port : this->memory().ports()) {
      args_.ports[args_.port_count++] = port.port();
    }
    args_.control = &control_;
    args_.state = this->memory().state();
    args_.claims = claims_.data();
    args_.cells = cells_.data();
    args_.staging = staging_.data();
    args_.park_after_ns = static_cast<std::uint64_t>(options.park_after.count());
    args_.step_deadline_ns = static_cast<std::uint64_t>(options.step_deadline.count());
    args_.workers = shape.blocks - 1;
    AATGS_CUDA(cudaSetDevice(device_), "selecting device " + std::to_string(device_));
    AATGS_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
               "making the stream of the resident kernel");
    launch();
  }

  ~GpuResidency() override {
    stop(Command::abort, std::chrono::seconds(10));
    cudaStreamDestroy(stream_);
  }

  void revive() override {
    const std::lock_guard lock(launching_);
    const std::uint32_t presence = load_shared(&control_.presence);
    if (presence != pack_presence(args_.launch, Presence::parking)) return;
    args_.launch = ++relaunches_;
    launch();
  }

  [[nodiscard]] std::uint64_t parks() const override { return relaunches_; }
  [[nodiscard]] std::uint32_t workers_of_port() const override {
    return (args_.workers + args_.port_count - 1) / args_.port_count;
  }
  [[nodiscard]] std::string description() const override {
    return "resident kernel on " + gpu_name(device_) + ", " + std::to_string(args_.workers) +
           " worker blocks of " + std::to_string(shape_.threads) + " threads and a service block";
  }

  void check() override {
    revive();
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error == cudaSuccess || error == cudaErrorNotReady) return;
    detail::throw_cuda_error(error, "running the resident kernel" + describe(control_.hang));
  }

 private:
  bool make_leave(Command command, std::chrono::nanoseconds deadline) override {
    store_shared(&control_.command, static_cast<std::uint32_t>(command));
    const auto begin = std::chrono::steady_clock::now();
    while (cudaStreamQuery(stream_) == cudaErrorNotReady) {
      if (std::chrono::steady_clock::now() - begin > deadline) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }

  void launch() {
    void* arguments[] = {&args_, &step_};
    AATGS_CUDA(
        cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel_), dim3(shape_.blocks),
                                    dim3(shape_.threads), arguments, shape_.scratch_bytes, stream_),
        "launching the resident kernel with " + std::to_string(shape_.blocks) + " blocks");
  }

  Kernel kernel_;
  KernelShape shape_;
  Step step_;
  ControlBlock& control_;
  int device_;
  Buffer<std::uint64_t> claims_;
  Buffer<device::GridCell> cells_;
  Buffer<Granule> staging_;
  device::ResidentArgs args_{};
  std::mutex launching_;  // any port may find the kernel parked
  std::atomic<std::uint32_t> relaunches_ = 0;
  cudaStream_t stream_ = nullptr;
};

}  // namespace aatgs
