// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_block.cuh>
#include <aatgs/device/resident_grid.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/stream_handle.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/nvtx_range.hpp>
#include <aatgs/host/preflight.hpp>
#include <aatgs/host/residency.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace aatgs {

/// The persistent kernel at the far end of the rings. `Kernel` is `resident_block_kernel` or
/// `resident_grid_kernel` of the step.
template <class Step>
class GpuResidency final : public Residency {
 public:
  using Kernel = void (*)(device::ResidentArgs, Step);

  /// `shape.blocks` is the workers and one service block; `lease` and `plan` are of this kernel.
  GpuResidency(Kernel kernel, const KernelShape& shape, std::unique_ptr<ResidentMemory> memory,
               const Step& step, const ContextOptions& options, std::uint32_t config_granules,
               const ResidentPlan& plan, ResidentLease lease)
      : Residency(std::move(memory)),
        kernel_(kernel),
        shape_(shape),
        step_(step),
        control_(this->memory().control()),
        device_(options.device),
        plan_(plan),
        lease_(std::move(lease)),
        start_deadline_(options.start_deadline),
        claims_(MemoryKind::device, shape.blocks - 1, options.device),
        cells_(MemoryKind::device, 2 * std::size_t{shape.blocks}, options.device),
        barriers_(MemoryKind::device, options.scope == Scope::grid ? device::barrier_places + 1 : 0,
                  options.device),
        staging_(MemoryKind::device, std::size_t{device::staging_slots} * (config_granules + 1),
                 options.device),
        stream_(options.device, "making the stream of the resident kernel") {
    claims_.upload(std::vector<std::uint64_t>(claims_.size(), no_ticket));
    for (const PortMemory& port : this->memory().ports()) {
      args_.ports[args_.port_count++] = port.port();
    }
    args_.control = &control_;
    args_.state = this->memory().state();
    args_.claims = claims_.data();
    args_.cells = cells_.data();
    args_.barriers = barriers_.data();
    args_.staging = staging_.data();
    args_.events = this->memory().event_ring();
    args_.park_after_ns = static_cast<std::uint64_t>(options.park_after.count());
    args_.step_deadline_ns = static_cast<std::uint64_t>(options.step_deadline.count());
    args_.leave_after = options.leave_after;
    args_.bounded = options.bounded;
    args_.workers = shape.blocks - 1;
    if (options.bounded) {
      control_.presence = pack_presence(0, Presence::parking);
    } else {
      throw_if_failed(launch());
    }
  }

  ~GpuResidency() override {
    if (stop(Command::abort, std::chrono::seconds(is_stuck_ ? 0 : 10))) return;
    lease_.abandon();
    abandon_memory();
    claims_.abandon();
    cells_.abandon();
    barriers_.abandon();
    staging_.abandon();
    stream_.abandon();
  }

  /// Does not throw: callers may be between a push and its count. `check` tells of a failure.
  void revive() override {
    const std::lock_guard lock(commanding_);
    if (has_ended() || launch_error_ != cudaSuccess || !is_parked()) return;
    store_command(Command::run);  // after a park by hand
    ++args_.launch;
    launch_error_ = launch();
    if (launch_error_ != cudaSuccess) --args_.launch;
  }

  bool park(std::chrono::nanoseconds deadline) override {
    const auto begin = std::chrono::steady_clock::now();
    if (!args_.bounded && !give(Command::park)) return true;
    while (!args_.bounded && !has_parked() && !has_ended()) {
      if (std::chrono::steady_clock::now() - begin > deadline) {
        give(Command::run);
        return false;
      }
      check_stream();
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return wait_until_gone(deadline - (std::chrono::steady_clock::now() - begin));
  }

  [[nodiscard]] std::uint64_t parks() const override {
    const std::lock_guard lock(commanding_);
    return args_.launch;
  }
  [[nodiscard]] std::uint32_t workers() const override { return args_.workers; }
  [[nodiscard]] std::uint32_t workers_of_port() const override {
    return (args_.workers + args_.port_count - 1) / args_.port_count;
  }
  [[nodiscard]] std::string description() const override {
    return "resident kernel on " + gpu_name(device_) + ", " + std::to_string(args_.workers) +
           " worker blocks of " + std::to_string(shape_.threads) + " threads and a service block";
  }

  void check() override {
    const std::lock_guard lock(commanding_);
    throw_if_failed(launch_error_);
    check_stream();
    check_start();
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool make_leave(Command command, std::chrono::nanoseconds deadline) override {
    {
      const std::lock_guard lock(commanding_);
      // Nothing undoes an abort: a kernel that comes later would run what was given up.
      const auto before = static_cast<Command>(load_shared(&control_.command));
      if (before != Command::abort) store_command(command);
    }
    is_stuck_ = !wait_until_gone(deadline);
    return !is_stuck_;
  }
  void order_abort() override {
    const std::lock_guard lock(commanding_);
    store_command(Command::abort);
  }

  /// Unless the end has been ordered, which nothing may undo.
  bool give(Command command) {
    const std::lock_guard lock(commanding_);
    if (has_ended()) return false;
    store_command(command);
    return true;
  }
  void store_command(Command command) {
    store_shared(&control_.command, static_cast<std::uint32_t>(command));
  }

  [[nodiscard]] bool is_parked() const {
    return load_shared(&control_.presence) == pack_presence(args_.launch, Presence::parking);
  }
  [[nodiscard]] bool has_parked() const {
    const std::lock_guard lock(commanding_);
    return is_parked();
  }

  /// A failed kernel is gone, too.
  [[nodiscard]] bool wait_until_gone(std::chrono::nanoseconds deadline) const {
    const auto begin = Clock::now();
    while (cudaStreamQuery(stream_.get()) == cudaErrorNotReady) {
      if (Clock::now() - begin > deadline) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }

  void check_stream() const {
    const cudaError_t error = cudaStreamQuery(stream_.get());
    if (error == cudaSuccess || error == cudaErrorNotReady) return;
    detail::throw_cuda_error(error, "running the resident kernel");
  }

  /// A launch waits for its place from when the one before has left.
  void check_start() {
    const std::uint32_t presence = load_shared(&control_.presence);
    const bool waits = presence == pack_presence(0, Presence::starting) ||
                       (presence_of(presence) == Presence::parking && !is_parked());
    const auto now = Clock::now();
    if (!waits) {
      waits_since_.reset();
    } else if (!waits_since_) {
      waits_since_ = now;
    } else if (now - *waits_since_ > start_deadline_) {
      throw TimeoutError(describe_late_start(plan_, now - *waits_since_, lease_.others()));
    }
  }

  void throw_if_failed(cudaError_t error) const {
    AATGS_CUDA(error,
               "launching the resident kernel with " + std::to_string(shape_.blocks) + " blocks");
  }

  cudaError_t launch() {
    const NvtxRange range("launch resident kernel");
    void* arguments[] = {&args_, &step_};
    return cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel_), dim3(shape_.blocks),
                                       dim3(shape_.threads), arguments, shape_.scratch_bytes,
                                       stream_.get());
  }

  Kernel kernel_;
  KernelShape shape_;
  Step step_;
  ControlBlock& control_;
  int device_;
  ResidentPlan plan_;
  ResidentLease lease_;
  std::chrono::nanoseconds start_deadline_;
  std::atomic<bool> is_stuck_ = false;  ///< it did not leave in time
  Buffer<std::uint64_t> claims_;
  Buffer<device::GridCell> cells_;
  Buffer<BarrierPlace> barriers_;
  Buffer<Granule> staging_;
  device::ResidentArgs args_{};
  detail::StreamHandle stream_;
  /// Any thread may stop the kernel, and any port may find it parked: see tests/models/park.pml for
  /// what is lost without it. Guards `args_.launch`, the command, and the next two.
  mutable std::mutex commanding_;
  cudaError_t launch_error_ = cudaSuccess;
  std::optional<Clock::time_point> waits_since_;
};

}  // namespace aatgs
