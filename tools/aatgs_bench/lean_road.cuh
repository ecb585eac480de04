// SPDX-License-Identifier: Apache-2.0
// What the other roads share: a shape, a way to launch, and answers that the host polls.
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/host_message.hpp>
#include <type_traits>

#include "cuda_handles.cuh"
#include "driver.cuh"
#include "lean_kernel.cuh"

namespace aatgs::bench {

/// A step, and how wide it is run.
template <class Step>
struct Setup {
  Step step;
  Scope scope;
  unsigned blocks;  ///< of one config, in the lean kernels
  unsigned threads;
  int device;
  std::uint32_t workers = 0;  ///< of our own roads; 0: as many as they take by themselves
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, cudaStream_t stream,
            bool programmatic, const Arguments&... arguments) {
  static_assert((std::is_convertible_v<const Arguments&, Parameters> && ...));
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = programmatic ? 1 : 0;
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
  AATGS_CUDA(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), pointers),
             "launching a step");
}

/// Answers in the order of the tickets, polled in pinned memory. `slots` bounds what is in flight.
template <class Step>
class LeanRoad : public BenchRoad {
 public:
  bool collect(std::uint64_t& ticket, BenchTelemetry& telemetry) override {
    if (!read_value(answer_of(head_), answer_lap(head_), telemetry)) return false;
    ticket = head_++;
    return true;
  }

  void finish() override {
    AATGS_CUDA(cudaDeviceSynchronize(), "running the steps");
    if (failed_.download()[0] != 0) throw Error("a step read other data than it should");
  }

 protected:
  LeanRoad(const Setup<Step>& setup, unsigned slots)
      : setup_(setup),
        slots_(slots),
        answers_(MemoryKind::mapped, std::size_t{slots} * answer_stride, setup.device),
        ends_(MemoryKind::device, grid() && setup.blocks > 1 ? slots : 0, setup.device),
        failed_(MemoryKind::device, 1, setup.device) {}

  [[nodiscard]] bool grid() const { return setup_.scope == Scope::grid; }
  [[nodiscard]] unsigned slot_of(std::uint64_t ticket) const {
    return static_cast<unsigned>(ticket % slots_);
  }
  [[nodiscard]] Granule* answer_of(std::uint64_t ticket) const {
    return answers_.data() + std::size_t{slot_of(ticket)} * answer_stride;
  }
  /// For kernels whose answer the host polls; a single block needs none.
  [[nodiscard]] GridEnd* end_of(std::uint64_t ticket) const {
    return ends_.size() == 0 ? at_kernel_end : ends_.data() + slot_of(ticket);
  }

  Setup<Step> setup_;
  unsigned slots_;
  Buffer<Granule> answers_;
  Buffer<GridEnd> ends_;
  Buffer<std::uint32_t> failed_;
  std::uint64_t next_ = 0;
  std::uint64_t head_ = 0;
};

}  // namespace aatgs::bench
