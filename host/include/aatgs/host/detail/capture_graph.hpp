// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <aatgs/host/cuda_check.hpp>
#include <string>

namespace aatgs::detail {

/// The graph of what `enqueue()` puts into the stream; the caller destroys it. `what` it is:
/// "a graph of steps". Throws `DeviceError`, and what `enqueue` throws; the stream is whole then.
template <class Enqueue>
cudaGraphExec_t capture_graph(cudaStream_t stream, const std::string& what, Enqueue enqueue) {
  cudaGraph_t graph = nullptr;
  AATGS_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing " + what);
  try {
    enqueue();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  AATGS_CUDA(cudaStreamEndCapture(stream, &graph), "capturing " + what);
  cudaGraphExec_t ready = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&ready, graph, 0);
  cudaGraphDestroy(graph);
  AATGS_CUDA(error, "instantiating " + what);
  return ready;
}

/// For captures: what is put into `to` from now on runs after all that is in `from`. Throws
/// `DeviceError`.
inline void chain(cudaStream_t from, cudaStream_t to) {
  cudaEvent_t event = nullptr;
  AATGS_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  cudaError_t error = cudaEventRecord(event, from);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(to, event, 0);
  cudaEventDestroy(event);
  AATGS_CUDA(error, "tying two streams of a graph");
}

}  // namespace aatgs::detail
