// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/batch_graph.cuh>
#include <aatgs/host/detail/capture_graph.hpp>
#include <aatgs/host/detail/polled_launches.cuh>
#include <aatgs/host/detail/stream_handle.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace aatgs::detail {

/// CUDA graphs of steps that say `grid_sync = false`, with programmatic dependent launch where GPU
/// and code have it. A graph copies its configs from a buffer of the host's, runs them one after
/// the other, and publishes the completions of most of them beside its last steps, the others at
/// its end. Made when first needed, one for each buffer and length.
template <class Config, class Telemetry, class Step>
class StepGraphs {
 public:
  using Configs = device::GraphConfigs<Config>;

  /// `buffers`: so many graphs may be on their way. `launches` outlives this.
  StepGraphs(const Step& step, const ContextOptions& options, std::uint32_t buffers,
             PolledLaunches<Telemetry>& launches)
      : launches_(launches),
        step_(step),
        shape_(size_kernel(kernel(), options.device, step_block_threads<Step>(),
                           step_scratch_bytes(step), options.workers, true, 0)),
        programmatic_(launches.has_dependent_launch(reinterpret_cast<const void*>(kernel()))),
        pinned_(MemoryKind::mapped, buffers, options.device),
        device_(MemoryKind::device, buffers, options.device),
        drafts_(MemoryKind::device, device::graph_steps, options.device),
        beside_(options.device, "making a stream for graphs of steps") {}

  ~StepGraphs() {
    if (launches_.has_ended(std::chrono::seconds(10))) {
      for (const auto& [key, graph] : graphs_) cudaGraphExecDestroy(graph);
      return;
    }
    pinned_.abandon();
    device_.abandon();
    drafts_.abandon();
  }

  StepGraphs(const StepGraphs&) = delete;
  StepGraphs& operator=(const StepGraphs&) = delete;

  [[nodiscard]] bool is_programmatic() const { return programmatic_; }
  [[nodiscard]] const KernelShape& shape() const { return shape_; }

  /// Configs and tickets of the next graph that uses this buffer. Free once the graph that used it
  /// last has published a completion.
  [[nodiscard]] Configs& buffer(std::uint32_t i) { return pinned_.data()[i]; }

  /// Runs the first `count` configs of the buffer, 1 to `device::graph_steps`. Throws
  /// `DeviceError`.
  void launch(std::uint32_t buffer, std::uint32_t count) {
    cudaGraphExec_t& graph = graphs_[{buffer, count}];
    if (graph == nullptr) {
      graph = capture_graph(launches_.stream(), "a graph of steps",
                            [this, buffer, count] { enqueue(buffer, count); });
    }
    AATGS_CUDA(cudaGraphLaunch(graph, launches_.stream()), "launching a graph of steps");
  }

 private:
  using Draft = device::StepDraft<CompletionRecord<Telemetry>>;

  static auto kernel() { return &device::batch_graph_kernel<Step, Config, Telemetry>; }
  static auto publisher() { return &device::publish_graph_kernel<Config, Telemetry>; }

  /// After how many of `count` steps the completions of these are published, so that the host
  /// collects them, and queues what comes next, while the others run: of 64 empty steps in flight
  /// one took 0.92 us with all at the end and 0.87 so, of 1 us 1.87 and 1.83 (H200; with 3 of 4
  /// the same). 0: none before the end.
  static constexpr std::uint32_t early_part(std::uint32_t count) {
    return count < 32 ? 0 : count - count / 8;
  }

  void enqueue(std::uint32_t buffer, std::uint32_t count) {
    const cudaStream_t stream = launches_.stream();
    const Configs* from = device_.data() + buffer;
    AATGS_CUDA(cudaMemcpyAsync(device_.data() + buffer, pinned_.data() + buffer,
                               offsetof(Configs, configs) + count * sizeof(from->configs[0]),
                               cudaMemcpyHostToDevice, stream),
               "capturing the copy of the configs");
    Draft* drafts = drafts_.data();
    const std::uint32_t early = early_part(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      void* arguments[] = {&launches_.args(), &step_, &from, &i, &drafts};
      const bool dependent = programmatic_ && i > 0;  // only between two kernels
      AATGS_CUDA(launches_.launch(reinterpret_cast<const void*>(kernel()), shape_.blocks, shape_,
                                  dependent, arguments),
                 "capturing a step");
      if (i + 1 != early) continue;
      chain(stream, beside_.get());
      publish(beside_.get(), buffer, 0, early);
    }
    publish(stream, buffer, early, count);
    if (early > 0) chain(beside_.get(), stream);
  }

  /// Publishes the completions of the steps from `first` to below `end`.
  void publish(cudaStream_t stream, std::uint32_t buffer, std::uint32_t first, std::uint32_t end) {
    const Configs* from = device_.data() + buffer;
    Draft* drafts = drafts_.data();
    void* arguments[] = {&launches_.args(), &from, &drafts, &first};
    AATGS_CUDA(cudaLaunchKernel(reinterpret_cast<const void*>(publisher()), dim3(end - first),
                                dim3(32), arguments, 0, stream),
               "capturing the end of steps");
  }

  PolledLaunches<Telemetry>& launches_;
  Step step_;
  KernelShape shape_;
  bool programmatic_;
  Buffer<Configs> pinned_;
  Buffer<Configs> device_;
  Buffer<Draft> drafts_;  ///< of the graph that runs
  StreamHandle beside_;   ///< has a part in captures alone
  std::map<std::pair<std::uint32_t, std::uint32_t>, cudaGraphExec_t> graphs_;  ///< by length too
};

}  // namespace aatgs::detail
