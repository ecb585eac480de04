// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_args.cuh>
#include <aatgs/runtime/step.hpp>
#include <cstdint>

namespace aatgs::device {

/// What the kernels get that run one config, which comes by value, and publish its completion in a
/// telemetry ring.
struct QueuedArgs {
  TelemetryRing telemetry;
  ControlBlock* control;  ///< mapped
  ResidentState* orders;  ///< mapped; only `order` is used: the host sets it beside running kernels
  ResidentState* state;   ///< device memory; grid scope: the barrier
  GridCell* cells;        ///< grid scope: [2][gridDim.x]
  std::uint64_t step_deadline_ns;
};

static_assert(std::is_trivially_copyable_v<QueuedArgs>);

/// Which config it is.
struct QueuedTicket {
  std::uint64_t ticket;  ///< as the user sees it
  std::uint64_t place;   ///< the ticket in the ring
  std::uint32_t worker;  ///< of the ring's counters: kernels that may overlap have different ones
};

/// Makes ready what a block shares. One thread.
template <class Record>
__device__ void begin_queued(BlockShared& shared, Record& record, const QueuedTicket& of) {
  shared.ticket = of.ticket;
  shared.failed = 0;
  record = Record{};
  record.taken_ns = timer_ns();
}

/// One block runs one config. All its threads. `Lossless`: the ring's policy is `block`; without
/// the others' code a light step has 32 registers, and a batch of 1024 fits an H200 at once.
template <bool Lossless, class Step, class Config, class Record>
__device__ void run_queued_block(const QueuedArgs& args, const Step& step, const Config& config,
                                 const QueuedTicket& of, BlockShared& shared,
                                 MessageBuffer<Record>& record) {
  BlockGroup<step_block_threads<Step>()> group(shared, *args.orders);
  if (threadIdx.x == 0) begin_queued(shared, record.value(), of);
  __syncthreads();
  if constexpr (requires { step.enter(group); }) step.enter(group);
  if (threadIdx.x == 0) record.value().started_ns = timer_ns();
  step(group, config, record.value().telemetry);
  __syncthreads();
  if (threadIdx.x < 32) {
    if (threadIdx.x == 0) {
      record.value().finished_ns = timer_ns();
      if (shared.failed != 0) {
        record.value().status = CompletionStatus::failed;
        record.value().code = shared.code;
      }
    }
    // What this step wrote is visible before its telemetry is.
    if constexpr (step_writes_memory<Step>()) device_fence();
    __syncwarp();
    if constexpr (Lossless) {
      const TelemetryRing& ring = args.telemetry;
      write_message(WarpLanes{}, ring.granules + ring.shape.offset_of(of.place),
                    MessageBuffer<Record>::granules, ring.shape.lap_of(of.place), record.words());
    } else {
      publish_completion(WarpLanes{}, args.telemetry, of.worker, of.place, record);
    }
  }
  if constexpr (requires { step.leave(group); }) step.leave(group);
}

/// A launch of one block for one config.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    queued_block_kernel(const __grid_constant__ QueuedArgs args, const __grid_constant__ Step step,
                        const __grid_constant__ Config config,
                        const __grid_constant__ QueuedTicket of) {
  __shared__ BlockShared shared;
  __shared__ MessageBuffer<CompletionRecord<Telemetry>> record;
  run_queued_block<false>(args, step, config, of, shared, record);
}

/// A config in whole 16-byte words. An array of them is one of plain configs if these are of whole
/// words themselves.
template <class Config>
struct alignas(16) ConfigWords {
  unsigned char bytes[(sizeof(Config) + 15) / 16 * 16];

  [[nodiscard]] AATGS_HOST_DEVICE Config& value() { return *reinterpret_cast<Config*>(bytes); }
};

/// Copies a config out of memory that is slow to read. All threads of the block; they see it after
/// the next `__syncthreads`.
template <class Config>
__device__ void fetch_config(ConfigWords<Config>& to, const ConfigWords<Config>& from) {
  const auto* source = reinterpret_cast<const uint4*>(&from);
  auto* target = reinterpret_cast<uint4*>(&to);
  for (unsigned i = threadIdx.x; i < sizeof(to) / sizeof(uint4); i += blockDim.x) {
    target[i] = source[i];
  }
}

/// Lets the next kernel begin to launch, if it is one for programmatic dependent launch.
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}
/// Waits until the kernel before has ended and its writes can be seen.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

/// A launch of one block for each of many configs. `first`: of block 0; the others follow. The next
/// launch may begin as soon as all its blocks have.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    batch_block_kernel(const __grid_constant__ QueuedArgs args, const __grid_constant__ Step step,
                       const ConfigWords<Config>* configs,
                       const __grid_constant__ QueuedTicket first) {
  __shared__ BlockShared shared;
  __shared__ ConfigWords<Config> config;
  __shared__ MessageBuffer<CompletionRecord<Telemetry>> record;
  let_next_start();
  fetch_config(config, configs[blockIdx.x]);
  const QueuedTicket of{first.ticket + blockIdx.x, first.place + blockIdx.x, 0};
  run_queued_block<true>(args, step, config.value(), of, shared, record);
  // So that launches end in order. One block is enough, and leaves the room of all others.
  if (blockIdx.x == gridDim.x - 1) wait_for_previous();
}

/// The whole grid, launched cooperatively, runs one config. Kernels of one stream share `state`,
/// which each leaves as it found it.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    queued_grid_kernel(const __grid_constant__ QueuedArgs args, const __grid_constant__ Step step,
                       const __grid_constant__ Config config,
                       const __grid_constant__ QueuedTicket of) {
  using Record = CompletionRecord<Telemetry>;
  __shared__ BlockShared shared;
  __shared__ MessageBuffer<Record> record;
  ResidentState& state = *args.state;
  GridBarrier barrier(state, state.barrier, *args.control, gridDim.x, args.step_deadline_ns);
  GridGroup<step_block_threads<Step>()> group(shared, *args.orders, barrier, args.cells, gridDim.x);
  if (threadIdx.x == 0) begin_queued(shared, record.value(), of);
  __syncthreads();
  if constexpr (requires { step.enter(group); }) step.enter(group);
  if (threadIdx.x == 0) record.value().started_ns = timer_ns();
  step(group, config, record.value().telemetry);
  __syncthreads();
  if (threadIdx.x < 32) {
    if (threadIdx.x == 0) {
      const bool failed = shared.failed != 0;
      if (failed) atomicExch(&state.fail_code[0], shared.code);
      const auto flag = failed ? ArrivalFlag::failed : ArrivalFlag::none;
      const ArrivalFlags flags = barrier.arrive_and_wait(flag, of.ticket);
      if (blockIdx.x == 0) {
        record.value().finished_ns = timer_ns();
        if (flags.failures() != 0) {
          record.value().status = CompletionStatus::failed;
          record.value().code = atomicExch(&state.fail_code[0], 0U);
          barrier.clear_failures(flags.failures());  // `leave` may use the barrier
        }
      }
    }
    __syncwarp();
    if (blockIdx.x == 0) {
      publish_completion(WarpLanes{}, args.telemetry, of.worker, of.place, record);
    }
  }
  if constexpr (requires { step.leave(group); }) step.leave(group);
  __syncthreads();
  if (threadIdx.x != 0) return;
  __threadfence();
  if (atomicAdd(&state.exited, 1U) + 1 != gridDim.x) return;
  state.exited = 0;
  reset_barrier(state.barrier);
}

}  // namespace aatgs::device
