// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/capture_graph.hpp>
#include <aatgs/host/detail/select_device.hpp>
#include <aatgs/host/detail/stream_handle.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/single_kernel.cuh>
#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace aatgs {

/// Executors `launch` and `graph`: copy the config in, run one kernel, copy the completion out,
/// synchronise; the sync mode that iterative solvers have without this library. `graph` replays the
/// three as an instantiated CUDA graph.
template <class Config, class Telemetry, class Step>
class SingleExecutor final : public Executor<Config, Telemetry> {
 public:
  using Kernel = SingleKernel<Config, Telemetry, Step>;
  using Input = typename Kernel::Input;
  using Record = typename Kernel::Record;

  /// `orders`: shared by all ports.
  SingleExecutor(const Step& step, const ContextOptions& options,
                 std::shared_ptr<LaunchOrders> orders)
      : options_(options),
        use_graph_(options.executor == ExecutorKind::graph),
        kernel_(step, options, std::move(orders)),
        pinned_(MemoryKind::mapped, 1, options.device),
        input_(MemoryKind::device, 1, options.device),
        record_(MemoryKind::device, 1, options.device),
        stream_(options.device, "making a stream"),
        next_(options.first_ticket) {
    if (!use_graph_) return;
    graph_ = detail::capture_graph(stream_.get(), "the step's graph", [this] { enqueue(); });
  }

  ~SingleExecutor() override {
    detail::try_select_device(options_.device);
    cudaStreamSynchronize(stream_.get());
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }

  QueueStatus try_submit(const Config& config) override {
    if (kernel_.orders().has_ended.load(std::memory_order_relaxed)) return QueueStatus::closed;
    const bool full = done_.size() >= options_.telemetry_slots;
    if (full && options_.telemetry_policy == TelemetryPolicy::block) {
      return QueueStatus::telemetry_full;
    }
    done_.emplace_back();  // before the step runs: there may be no memory
    try {
      run(config);
    } catch (...) {
      done_.pop_back();
      throw;
    }
    done_.back() = {pinned_.data()->record, next_++};
    if (!full) return QueueStatus::queued;
    ++lost_;
    if (options_.telemetry_policy == TelemetryPolicy::overwrite_oldest) {
      done_.pop_front();
    } else {
      done_.pop_back();
    }
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
           kernel_.description();
  }
  void check() override {
    if (kernel_.orders().has_ended) {
      throw UseError("running configs of a context that another thread has ended: make a new one");
    }
    detail::try_select_device(options_.device);
    const cudaError_t error = cudaStreamQuery(stream_.get());
    if (error == cudaSuccess || error == cudaErrorNotReady) return;
    detail::throw_cuda_error(error, "running a step as a launch" + kernel_.wedged());
  }
  /// Reaches the step at work, too, if that asks.
  void request_abort() override { kernel_.orders().request_abort(); }
  /// Nothing runs between calls; other ports find it ended at their next one.
  bool stop(StopMode mode, std::chrono::nanoseconds) override {
    kernel_.orders().has_ended = true;
    if (mode == StopMode::abort) request_abort();
    return true;
  }

 private:
  struct Pinned {
    Input input;
    Record record;
  };

  void run(const Config& config) {
    detail::select_device(options_.device);
    pinned_.data()->input.config = config;
    pinned_.data()->input.ticket = next_;
    if (use_graph_) {
      AATGS_CUDA(cudaGraphLaunch(graph_, stream_.get()), "launching the step's graph");
    } else {
      enqueue();
    }
    AATGS_CUDA(cudaStreamSynchronize(stream_.get()),
               "running the step as a single launch" + kernel_.wedged());
  }

  void enqueue() {
    Pinned& io = *pinned_.data();
    AATGS_CUDA(cudaMemcpyAsync(input_.data(), &io.input, sizeof(Input), cudaMemcpyHostToDevice,
                               stream_.get()),
               "copying the config to the GPU");
    kernel_.launch(stream_.get(), input_.data(), record_.data());
    AATGS_CUDA(cudaMemcpyAsync(&io.record, record_.data(), sizeof(Record), cudaMemcpyDeviceToHost,
                               stream_.get()),
               "copying the telemetry from the GPU");
  }

  ContextOptions options_;
  bool use_graph_;
  Kernel kernel_;
  Buffer<Pinned> pinned_;
  Buffer<Input> input_;
  Buffer<Record> record_;
  detail::StreamHandle stream_;
  cudaGraphExec_t graph_ = nullptr;
  std::uint64_t next_;
  std::uint64_t lost_ = 0;
  std::deque<Completion<Telemetry>> done_;
};

}  // namespace aatgs
