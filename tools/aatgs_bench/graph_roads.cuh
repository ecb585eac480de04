// SPDX-License-Identifier: Apache-2.0
// CUDA graphs of steps that run one after the other.
#pragma once

#include <vector>

#include "lean_road.cuh"

namespace aatgs::bench {

struct GraphKind {
  bool copy = false;          ///< configs and telemetry copied as a whole, at the ends of the graph
  bool programmatic = false;  ///< dependent launch between the steps
};

/// Graphs of `steps` steps each, `in_flight` of them at once. Without `copy` the steps read configs
/// from pinned memory and write telemetry there. The host polls; it never synchronises.
template <class Step>
class GraphRoad final : public LeanRoad<Step> {
 public:
  GraphRoad(const Setup<Step>& setup, unsigned steps, unsigned in_flight, GraphKind kind)
      : LeanRoad<Step>(setup, steps * in_flight),
        steps_(steps),
        kind_(kind),
        configs_(MemoryKind::mapped, this->slots_, setup.device),
        device_configs_(MemoryKind::device, kind.copy ? this->slots_ : 1, setup.device),
        device_answers_(MemoryKind::device, kind.copy ? this->slots_ * answer_stride : 1,
                        setup.device) {
    cudaFuncAttributes attributes{};  // loads the kernel, which a capture might refuse to
    AATGS_CUDA(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(pick_kernel())),
               "loading the step's kernel");
    for (unsigned i = 0; i < in_flight; ++i) graphs_.push_back(capture(i * steps));
  }
  ~GraphRoad() override {
    cudaStreamSynchronize(stream_.get());
    for (cudaGraphExec_t graph : graphs_) cudaGraphExecDestroy(graph);
  }

  void submit(const BenchConfig& config) override {
    const std::uint64_t ticket = this->next_++;
    configs_.data()[this->slot_of(ticket)] = config;
    if ((ticket + 1) % steps_ != 0) return;
    AATGS_CUDA(cudaGraphLaunch(graphs_[ticket / steps_ % graphs_.size()], stream_.get()),
               "launching a graph of steps");
  }

 private:
  cudaGraphExec_t capture(unsigned first) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    AATGS_CUDA(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal),
               "capturing a graph of steps");
    enqueue(first);
    AATGS_CUDA(cudaStreamEndCapture(stream_.get(), &graph), "capturing a graph of steps");
    const cudaError_t error = cudaGraphInstantiate(&ready, graph, 0);
    cudaGraphDestroy(graph);
    AATGS_CUDA(error, "instantiating a graph of steps");
    AATGS_CUDA(cudaGraphUpload(ready, stream_.get()), "uploading a graph of steps");
    return ready;
  }

  void enqueue(unsigned first) {
    const std::size_t answer = std::size_t{first} * answer_stride;
    if (kind_.copy) {
      AATGS_CUDA(
          cudaMemcpyAsync(device_configs_.data() + first, configs_.data() + first,
                          steps_ * sizeof(BenchConfig), cudaMemcpyHostToDevice, stream_.get()),
          "capturing the copy of the configs");
    }
    const BenchConfig* configs = (kind_.copy ? device_configs_ : configs_).data() + first;
    Granule* answers = (kind_.copy ? device_answers_ : this->answers_).data() + answer;
    for (unsigned i = 0; i < steps_; ++i) {
      const bool overlap = kind_.programmatic && i > 0;  // only between two kernels
      launch(pick_kernel(), this->grid() ? this->setup_.blocks : 1, this->setup_.threads,
             stream_.get(), overlap, configs + i, this->setup_.step, answers + i * answer_stride,
             kind_.copy ? at_kernel_end : this->end_of(first + i), this->failed_.data());
    }
    if (kind_.copy) {
      AATGS_CUDA(cudaMemcpyAsync(this->answers_.data() + answer, answers,
                                 steps_ * answer_stride * sizeof(Granule), cudaMemcpyDeviceToHost,
                                 stream_.get()),
                 "capturing the copy of the telemetry");
    }
  }

  auto pick_kernel() const {
    // The first kernel of a programmatic chain must let the second start early, too.
    if (this->grid()) {
      return kind_.programmatic ? &slot_kernel<Step, true, true> : &slot_kernel<Step, true, false>;
    }
    return kind_.programmatic ? &slot_kernel<Step, false, true> : &slot_kernel<Step, false, false>;
  }

  unsigned steps_;
  GraphKind kind_;
  Buffer<BenchConfig> configs_;
  Buffer<BenchConfig> device_configs_;
  Buffer<Granule> device_answers_;
  Stream stream_;
  std::vector<cudaGraphExec_t> graphs_;
};

}  // namespace aatgs::bench
