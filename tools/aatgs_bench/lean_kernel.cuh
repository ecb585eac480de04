// SPDX-License-Identifier: Apache-2.0
// Kernels of the other roads: the same step with nothing around it but its config and its
// telemetry. All of them end: a step's work is bounded by its config, and they wait for nothing but
// a message that is on its way.
#pragma once

#include <cstdint>

#include <aatgs/device/primitives.cuh>
#include <aatgs/runtime/message.hpp>

#include "steps.cuh"

namespace aatgs::bench {

/// Telemetry on its way back carries its sequence number in every 16 bytes, as in our own ring, so
/// that the host can poll it without a flag and a fence beside it. One answer every 128 bytes.
inline constexpr unsigned answer_granules = MessageBuffer<BenchTelemetry>::granules;
inline constexpr unsigned answer_stride = 8;

AATGS_HOST_DEVICE constexpr std::uint32_t answer_lap(std::uint64_t ticket) {
  return static_cast<std::uint32_t>(ticket) + 1;
}

/// Where the blocks of a grid leave their marks at the end of a step. One for each slot, all zero
/// at first. A slot's next step is submitted when its answer has been collected, so no two steps
/// meet here, not even with programmatic dependent launch.
struct alignas(128) GridEnd {
  Granule message[answer_granules];  ///< of block 0, for the last block
  std::uint32_t ended;               ///< blocks; the last one sets it back to 0
};
/// For answers that are read after the kernel has ended, and so after all of its blocks.
inline constexpr GridEnd* at_kernel_end = nullptr;

/// The group of a lean kernel: a block, or a whole grid without a barrier.
template <bool Grid>
class LeanGroup {
 public:
  __device__ explicit LeanGroup(std::uint32_t* failed) : failed_(failed) {}

  __device__ std::uint32_t rank() const {
    return Grid ? blockIdx.x * blockDim.x + threadIdx.x : threadIdx.x;
  }
  __device__ std::uint32_t size() const { return Grid ? gridDim.x * blockDim.x : blockDim.x; }
  __device__ std::uint32_t block_rank() const { return threadIdx.x; }
  __device__ void sync_block() { __syncthreads(); }
  __device__ void fail(std::uint32_t code) { atomicExch(failed_, code); }

 private:
  std::uint32_t* failed_;
};

/// Lets the next kernel of the stream begin to launch.
template <bool Pdl>
__device__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
  if constexpr (Pdl) cudaTriggerProgrammaticLaunchCompletion();
#endif
}
/// Waits until the kernel before has ended and its writes can be seen.
template <bool Pdl>
__device__ void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  if constexpr (Pdl) cudaGridDependencySynchronize();
#endif
}

/// The last block to come here answers with block 0's telemetry. Warp 0 of each block.
///
/// The fences order what all blocks did in the step before the answer. The message guards itself by
/// its lap, so none stands between it and block 0's count, and it may be read while the reader's
/// count is on its way: each would be one more trip to the L2 cache before the answer.
__device__ inline void answer_as_last(GridEnd& end, Granule* answer, std::uint32_t lap,
                                      MessageBuffer<BenchTelemetry>& out) {
  const device::WarpLanes lanes;
  bool here = blockIdx.x == 0;
  if (threadIdx.x == 0) device::device_fence();
  if (here) write_message(lanes, end.message, answer_granules, lap, out.words());
  unsigned before = 0;
  if (threadIdx.x == 0) before = atomicInc(&end.ended, gridDim.x - 1);
  if (!here) here = read_message(lanes, end.message, answer_granules, lap, out.words());
  if (__shfl_sync(~0U, before, 0) != gridDim.x - 1) return;
  device::device_fence();
  while (!here) here = read_message(lanes, end.message, answer_granules, lap, out.words());
  write_message(lanes, answer, answer_granules, lap, out.words());
}

/// Grid: answers when all blocks are done, as the resident road does; without `end` block 0 answers
/// when it is done itself.
template <class Step, bool Grid>
__device__ void run_lean(const Step& step, const BenchConfig& config, Granule* answer, GridEnd* end,
                         std::uint32_t* failed) {
  __shared__ MessageBuffer<BenchTelemetry> out;
  if (threadIdx.x < 3 * answer_granules) out.words()[threadIdx.x] = 0;
  __syncwarp();
  LeanGroup<Grid> group(failed);
  step(group, config, out.value());
  __syncthreads();
  if (threadIdx.x >= 32) return;
  const std::uint32_t lap = answer_lap(config.ticket);
  if (Grid && end != at_kernel_end) {
    answer_as_last(*end, answer, lap, out);
  } else if (!Grid || blockIdx.x == 0) {
    write_message(device::WarpLanes{}, answer, answer_granules, lap, out.words());
  }
}

/// Configs that travel as the kernel's parameters.
template <unsigned N>
struct ConfigBundle {
  BenchConfig configs[N];
};

/// Configs by value. Block scope: each block runs one.
template <class Step, bool Grid, unsigned N, bool Pdl>
__global__ void __launch_bounds__(1024, 1)
    value_kernel(const __grid_constant__ ConfigBundle<N> bundle, const __grid_constant__ Step step,
                 Granule* answers, GridEnd* end, std::uint32_t* failed) {
  let_next_start<Pdl>();
  wait_for_previous<Pdl>();
  const unsigned i = Grid ? 0 : blockIdx.x;
  run_lean<Step, Grid>(step, bundle.configs[i], answers + i * answer_stride, end, failed);
}

/// Configs in memory, of the GPU or of the host. Block scope: each block runs one. The config is
/// read before the wait for the previous kernel: it was there before the launch.
template <class Step, bool Grid, bool Pdl>
__global__ void __launch_bounds__(1024, 1)
    slot_kernel(const BenchConfig* configs, const __grid_constant__ Step step, Granule* answers,
                GridEnd* end, std::uint32_t* failed) {
  __shared__ uint4 config[sizeof(BenchConfig) / sizeof(uint4)];
  let_next_start<Pdl>();
  const unsigned i = Grid ? 0 : blockIdx.x;
  if (threadIdx.x < sizeof(BenchConfig) / sizeof(uint4)) {
    config[threadIdx.x] = reinterpret_cast<const uint4*>(configs + i)[threadIdx.x];
  }
  __syncthreads();
  wait_for_previous<Pdl>();
  run_lean<Step, Grid>(step, *reinterpret_cast<const BenchConfig*>(config),
                       answers + i * answer_stride, end, failed);
}

}  // namespace aatgs::bench
