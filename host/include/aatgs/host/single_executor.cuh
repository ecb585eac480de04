// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/single_launch.cuh>
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/detail/capture_graph.hpp>
#include <aatgs/host/detail/stream_handle.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/kernel_shape.cuh>
#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/message.hpp>
#include <atomic>
#include <deque>
#include <string>

namespace aatgs {

/// Executors `launch` and `graph`: copy the config in, run one kernel, copy the completion out,
/// synchronise; the sync mode that iterative solvers have without this library. `graph` replays the
/// three as an instantiated CUDA graph.
template <class Config, class Telemetry, class Step>
class SingleExecutor final : public Executor<Config, Telemetry> {
 public:
  using Record = CompletionRecord<Telemetry>;
  using Kernel = void (*)(device::SingleArgs, Step, const Config*, const std::uint64_t*, Record*);

  SingleExecutor(const Step& step, const ContextOptions& options)
      : step_(step),
        options_(options),
        use_graph_(options.executor == ExecutorKind::graph),
        kernel_(options.scope == Scope::grid
                    ? &device::single_grid_kernel<Step, Config, Telemetry>
                    : &device::single_block_kernel<Step, Config, Telemetry>),
        shape_(make_shape()),
        pinned_(MemoryKind::mapped, 1, options.device),
        input_(MemoryKind::device, 1, options.device),
        record_(MemoryKind::device, 1, options.device),
        control_(MemoryKind::mapped, 1, options.device),
        state_(MemoryKind::device, 1, options.device),
        cells_(MemoryKind::device, 2 * std::size_t{shape_.blocks}, options.device),
        stream_(options.device, "making a stream"),
        next_(options.first_ticket) {
    args_ = {control_.data(), state_.data(), cells_.data(),
             static_cast<std::uint64_t>(options.step_deadline.count())};
    if (!use_graph_) return;
    graph_ = detail::capture_graph(stream_.get(), "the step's graph", [this] { enqueue(); });
  }

  ~SingleExecutor() override {
    cudaStreamSynchronize(stream_.get());
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }

  QueueStatus try_submit(const Config& config) override {
    if (has_ended_.load(std::memory_order_relaxed)) return QueueStatus::closed;
    const bool full = done_.size() >= options_.telemetry_slots;
    if (full && options_.telemetry_policy == TelemetryPolicy::block) {
      return QueueStatus::telemetry_full;
    }
    Pinned& io = *pinned_.data();
    io.input.config = config;
    io.input.ticket = next_;
    if (use_graph_) {
      AATGS_CUDA(cudaGraphLaunch(graph_, stream_.get()), "launching the step's graph");
    } else {
      enqueue();
    }
    AATGS_CUDA(cudaStreamSynchronize(stream_.get()),
               "running the step as a single launch" + describe(control_.data()->hang));
    if (full) ++lost_;
    if (full && options_.telemetry_policy == TelemetryPolicy::overwrite_oldest) done_.pop_front();
    if (!full || options_.telemetry_policy == TelemetryPolicy::overwrite_oldest) {
      done_.push_back({io.record, next_});
    }
    ++next_;
    return QueueStatus::queued;
  }

  bool try_collect(Completion<Telemetry>& out) override {
    if (done_.empty()) return false;
    out = done_.front();
    done_.pop_front();
    return true;
  }

  [[nodiscard]] std::uint64_t lost() const override { return lost_; }
  [[nodiscard]] bool idle() const override { return true; }
  [[nodiscard]] RingCounters ring_counters(bool) override {
    return {0, static_cast<std::uint32_t>(done_.size())};
  }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return true; }
  [[nodiscard]] std::string description() const override {
    return std::string(use_graph_ ? "CUDA graph" : "single launches") + " on " +
           gpu_name(options_.device) + ", " + std::to_string(shape_.blocks) +
           (shape_.blocks == 1 ? " block of " : " blocks of ") + std::to_string(shape_.threads) +
           " threads";
  }
  void check() override {
    if (has_ended_) {
      throw UseError("running configs of a context that another thread has ended: make a new one");
    }
    const cudaError_t error = cudaStreamQuery(stream_.get());
    if (error == cudaSuccess || error == cudaErrorNotReady) return;
    detail::throw_cuda_error(error, "running a step as a launch" + describe(control_.data()->hang));
  }
  void request_abort() override { has_ended_ = true; }
  bool stop(StopMode, std::chrono::nanoseconds) override { return true; }

 private:
  struct Input {
    Config config;
    std::uint64_t ticket;
  };
  struct Pinned {
    Input input;
    Record record;
  };

  KernelShape make_shape() const {
    const bool grid = options_.scope == Scope::grid;
    return size_kernel(kernel_, options_.device, step_block_threads<Step>(),
                       step_scratch_bytes(step_), grid ? options_.workers : 1, grid, 0);
  }

  void enqueue() {
    Pinned& io = *pinned_.data();
    AATGS_CUDA(cudaMemcpyAsync(input_.data(), &io.input, sizeof(Input), cudaMemcpyHostToDevice,
                               stream_.get()),
               "copying the config to the GPU");
    const Config* config = &input_.data()->config;
    const std::uint64_t* ticket = &input_.data()->ticket;
    Record* record = record_.data();
    void* arguments[] = {&args_, &step_, &config, &ticket, &record};
    const auto* function = reinterpret_cast<const void*>(kernel_);
    if (options_.scope == Scope::grid) {
      AATGS_CUDA(cudaLaunchCooperativeKernel(function, dim3(shape_.blocks), dim3(shape_.threads),
                                             arguments, shape_.scratch_bytes, stream_.get()),
                 "launching the step");
    } else {
      AATGS_CUDA(cudaLaunchKernel(function, dim3(1), dim3(shape_.threads), arguments,
                                  shape_.scratch_bytes, stream_.get()),
                 "launching the step");
    }
    AATGS_CUDA(
        cudaMemcpyAsync(&io.record, record, sizeof(Record), cudaMemcpyDeviceToHost, stream_.get()),
        "copying the telemetry from the GPU");
  }

  Step step_;
  ContextOptions options_;
  bool use_graph_;
  Kernel kernel_;
  KernelShape shape_;
  Buffer<Pinned> pinned_;
  Buffer<Input> input_;
  Buffer<Record> record_;
  Buffer<ControlBlock> control_;
  Buffer<ResidentState> state_;
  Buffer<device::GridCell> cells_;
  device::SingleArgs args_{};
  detail::StreamHandle stream_;
  cudaGraphExec_t graph_ = nullptr;
  std::uint64_t next_;
  std::uint64_t lost_ = 0;
  std::deque<Completion<Telemetry>> done_;
  std::atomic<bool> has_ended_ = false;
};

}  // namespace aatgs
