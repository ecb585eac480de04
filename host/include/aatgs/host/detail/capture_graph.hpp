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

}  // namespace aatgs::detail
