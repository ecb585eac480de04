// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_args.cuh>
#include <aatgs/runtime/step.hpp>
#include <cstdint>

namespace aatgs::device {

/// What the kernels get that run one config and end.
struct SingleArgs {
  ControlBlock* control;  ///< mapped
  ResidentState* orders;  ///< mapped; only `order`: the host sets it beside running kernels
  ResidentState* state;   ///< device memory; grid scope: the barrier
  GridCell* cells;        ///< grid scope: [2][gridDim.x]
  std::uint64_t step_deadline_ns;
};

/// One block runs one config. The ticket comes with the config, so that a graph can replay it.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    single_block_kernel(const __grid_constant__ SingleArgs args, const __grid_constant__ Step step,
                        const Config* config, const std::uint64_t* ticket,
                        CompletionRecord<Telemetry>* out) {
  __shared__ BlockShared shared;
  __shared__ CompletionRecord<Telemetry> record;
  BlockGroup<step_block_threads<Step>()> group(shared, *args.orders);
  if (threadIdx.x == 0) {
    shared.ticket = *ticket;
    shared.failed = 0;
    record = CompletionRecord<Telemetry>{};
    record.taken_ns = record.started_ns = timer_ns();
  }
  __syncthreads();
  if constexpr (requires { step.enter(group); }) step.enter(group);
  step(group, *config, record.telemetry);
  __syncthreads();
  if constexpr (requires { step.leave(group); }) step.leave(group);
  if (threadIdx.x != 0) return;
  record.finished_ns = timer_ns();
  if (shared.failed != 0) {
    record.status = CompletionStatus::failed;
    record.code = shared.code;
  }
  *out = record;
}

/// The whole grid, launched cooperatively, runs one config.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    single_grid_kernel(const __grid_constant__ SingleArgs args, const __grid_constant__ Step step,
                       const Config* config, const std::uint64_t* ticket,
                       CompletionRecord<Telemetry>* out) {
  __shared__ BlockShared shared;
  __shared__ CompletionRecord<Telemetry> record;
  ResidentState& state = *args.state;
  GridBarrier barrier(state, state.barrier, *args.control, gridDim.x, args.step_deadline_ns);
  GridGroup<step_block_threads<Step>()> group(shared, *args.orders, barrier, args.cells, gridDim.x);
  if (threadIdx.x == 0) {
    shared.ticket = *ticket;
    shared.failed = 0;
    record = CompletionRecord<Telemetry>{};
    record.taken_ns = record.started_ns = timer_ns();
  }
  __syncthreads();
  if constexpr (requires { step.enter(group); }) step.enter(group);
  step(group, *config, record.telemetry);
  __syncthreads();
  if constexpr (requires { step.leave(group); }) step.leave(group);
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    out->telemetry = record.telemetry;
    out->taken_ns = record.taken_ns;
    out->started_ns = record.started_ns;
  }
  if (shared.failed != 0) atomicExch(&state.fail_code[0], shared.code);
  __threadfence();
  if (shared.failed != 0) atomicExch(&state.fail_code[1], 1U);
  __threadfence();
  // The last block to come ends the launch: it alone knows that nobody failed.
  if (atomicAdd(&state.exited, 1U) + 1 != gridDim.x) return;
  __threadfence();
  const bool failed = atomicExch(&state.fail_code[1], 0U) != 0;
  out->status = failed ? CompletionStatus::failed : CompletionStatus::ok;
  out->code = failed ? atomicExch(&state.fail_code[0], 0U) : 0;
  out->finished_ns = timer_ns();
  state.exited = 0;
  reset_barrier(state.barrier);
}

}  // namespace aatgs::device
