// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/queued_launch.cuh>
#include <cstdint>

namespace aatgs::device {

/// All blocks of a plain launch: the group of a step that says `grid_sync = false`. It has no
/// barrier, since not all blocks need be on the GPU at once. See `BlockGroup` for the calls.
template <unsigned Threads>
class LooseGridGroup {
 public:
  __device__ LooseGridGroup(BlockShared& shared, const ResidentState& orders)
      : block_(shared, orders) {}

  __device__ std::uint32_t rank() const { return blockIdx.x * Threads + threadIdx.x; }
  __device__ std::uint32_t size() const { return gridDim.x * Threads; }
  __device__ std::uint32_t block_rank() const { return threadIdx.x; }
  __device__ static constexpr std::uint32_t block_size() { return Threads; }
  __device__ std::uint32_t block_index() const { return blockIdx.x; }
  __device__ std::uint32_t block_count() const { return gridDim.x; }

  __device__ void sync_block() { __syncthreads(); }
  template <class T>
  __device__ T* scratch() {
    return block_.template scratch<T>();
  }
  __device__ bool stop_requested() const { return block_.stop_requested(); }
  __device__ void fail(std::uint32_t code) { block_.fail(code); }
  __device__ std::uint64_t ticket() const { return block_.ticket(); }

 private:
  BlockGroup<Threads> block_;
};

/// The most steps of one graph.
inline constexpr std::uint32_t graph_steps = 100;

/// The configs of one run of a graph; copied to the GPU by the graph itself.
template <class Config>
struct GraphConfigs {
  QueuedTicket first;
  MessageBuffer<Config> configs[graph_steps];
};

/// Counts this block as done; block 0 leaves its record in `draft` first. True for the warp of the
/// last block, which sees all that was left. Warp 0 of each block.
template <class Record>
__device__ bool is_last_block(ResidentState& state, const BlockShared& shared,
                              const MessageBuffer<Record>& record, MessageBuffer<Record>& draft) {
  constexpr unsigned words = sizeof(record.bytes) / sizeof(MessageWord);
  if (blockIdx.x == 0) {
    for (unsigned i = threadIdx.x; i < words; i += 32) draft.words()[i] = record.words()[i];
  }
  if (threadIdx.x == 0 && shared.failed != 0) {
    atomicExch(&state.fail_code[0], shared.code);
    atomicExch(&state.fail_code[1], 1U);
  }
  __threadfence();
  __syncwarp();
  unsigned last = 0;
  if (threadIdx.x == 0) last = atomicAdd(&state.exited, 1U) + 1 == gridDim.x ? 1 : 0;
  last = __shfl_sync(~0U, last, 0);
  __threadfence();
  return last != 0;
}

/// One step of a graph of them: the whole grid runs config `i`. The next kernel launches meanwhile;
/// its config is read before this one has ended, its step begins after.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    batch_graph_kernel(const __grid_constant__ QueuedArgs args, const __grid_constant__ Step step,
                       const GraphConfigs<Config>* batch, std::uint32_t i,
                       MessageBuffer<CompletionRecord<Telemetry>>* draft) {
  using Record = CompletionRecord<Telemetry>;
  __shared__ BlockShared shared;
  __shared__ MessageBuffer<Config> config;
  __shared__ MessageBuffer<Record> record;
  let_next_start();
  fetch_config(config, batch->configs[i]);
  const QueuedTicket of{batch->first.ticket + i, batch->first.place + i, 0};
  wait_for_previous();
  LooseGridGroup<step_block_threads<Step>()> group(shared, *args.orders);
  if (threadIdx.x == 0) begin_queued(shared, record.value(), of);
  __syncthreads();
  if constexpr (requires { step.enter(group); }) step.enter(group);
  if (threadIdx.x == 0) record.value().started_ns = timer_ns();
  step(group, config.value(), record.value().telemetry);
  __syncthreads();
  if (threadIdx.x < 32 && is_last_block(*args.state, shared, record, *draft)) {
    constexpr unsigned words = sizeof(record.bytes) / sizeof(MessageWord);
    for (unsigned k = threadIdx.x; k < words; k += 32) {
      record.words()[k] = load_shared(&draft->words()[k]);
    }
    __syncwarp();
    if (threadIdx.x == 0) {
      ResidentState& state = *args.state;
      record.value().finished_ns = timer_ns();
      if (load_shared(&state.fail_code[1]) != 0) {
        record.value().status = CompletionStatus::failed;
        record.value().code = load_shared(&state.fail_code[0]);
        state.fail_code[0] = state.fail_code[1] = 0;
      }
      state.exited = 0;
    }
    __syncwarp();
    publish_completion(WarpLanes{}, args.telemetry, of.worker, of.place, record.words());
  }
  if constexpr (requires { step.leave(group); }) step.leave(group);
}

}  // namespace aatgs::device
