// SPDX-License-Identifier: Apache-2.0
#include "cuda_capture.hpp"

#include <aatgs/host/cuda_check.hpp>

namespace aatgs::detail {

namespace {

/// Owns a graph that was captured.
class CapturedGraph {
 public:
  explicit CapturedGraph(cudaGraph_t graph) : graph_(graph) {}
  ~CapturedGraph() {
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
  }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

 private:
  cudaGraph_t graph_;
};

}  // namespace

cudaGraphExec_t end_cuda_capture(cudaStream_t stream, cudaGraphExec_t old) {
  cudaGraph_t captured = nullptr;
  const cudaError_t error = cudaStreamEndCapture(stream, &captured);
  const CapturedGraph owner(captured);
  AATGS_CUDA(error, "ending a capture");
  if (old != nullptr) {
    cudaGraphExecUpdateResultInfo info{};
    if (cudaGraphExecUpdate(old, captured, &info) == cudaSuccess) return old;
    cudaGetLastError();  // of another shape: not an error
  }
  cudaGraphExec_t ready = nullptr;
  AATGS_CUDA(cudaGraphInstantiate(&ready, captured, 0), "instantiating a captured graph");
  if (old != nullptr) cudaGraphExecDestroy(old);  // one that runs is freed when it has ended
  return ready;
}

}  // namespace aatgs::detail
