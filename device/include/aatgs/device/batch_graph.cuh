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
  ConfigWords<Config> configs[graph_steps];
};

/// One warp.
template <class Record>
__device__ void copy_record(MessageBuffer<Record>& to, const MessageBuffer<Record>& from) {
  constexpr unsigned words = sizeof(from.bytes) / sizeof(MessageWord);
  for (unsigned i = threadIdx.x; i < words; i += 32) to.words()[i] = from.words()[i];
}

/// What a step of a graph leaves for the end of the graph. One for each; zero at first.
template <class Record>
struct StepDraft {
  MessageBuffer<Record> record;  ///< of block 0, whose end stands for that of all
  std::uint32_t failed;
  std::uint32_t code;
};

/// One step of a graph of them: the whole grid runs config `i`. The next kernel launches meanwhile;
/// its config is read before this one has ended, its step begins after. Its completion is published
/// by another kernel: if the last block of each step did that, all blocks had to meet, and steps
/// took 2.4 us more than their work instead of 0.9 (H200).
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), 1)
    batch_graph_kernel(const __grid_constant__ QueuedArgs args, const __grid_constant__ Step step,
                       const GraphConfigs<Config>* batch, std::uint32_t i,
                       StepDraft<CompletionRecord<Telemetry>>* drafts) {
  using Record = CompletionRecord<Telemetry>;
  __shared__ BlockShared shared;
  __shared__ ConfigWords<Config> config;
  __shared__ MessageBuffer<Record> record;
  let_next_start();
  fetch_config(config, batch->configs[i]);
  const QueuedTicket of{batch->first.ticket + i, batch->first.place + i, 0};
  if (threadIdx.x == 0) begin_queued(shared, record.value(), of);
  __syncthreads();
  wait_for_previous();
  LooseGridGroup<step_block_threads<Step>()> group(shared, *args.orders);
  if constexpr (requires { step.enter(group); }) step.enter(group);
  if (threadIdx.x == 0) record.value().started_ns = timer_ns();
  step(group, config.value(), record.value().telemetry);
  __syncthreads();
  if (threadIdx.x == 0 && shared.failed != 0) {
    atomicExch(&drafts[i].code, shared.code);
    atomicExch(&drafts[i].failed, 1U);
  }
  if (blockIdx.x == 0 && threadIdx.x < 32) {
    if (threadIdx.x == 0) record.value().finished_ns = timer_ns();
    __syncwarp();
    copy_record(drafts[i].record, record);
  }
  if constexpr (requires { step.leave(group); }) step.leave(group);
}

/// A block for each step, from step `first` on, publishes what has become of it.
template <class Config, class Telemetry>
__global__ void __launch_bounds__(32, 1)
    publish_graph_kernel(const __grid_constant__ QueuedArgs args, const GraphConfigs<Config>* batch,
                         StepDraft<CompletionRecord<Telemetry>>* drafts, std::uint32_t first) {
  __shared__ MessageBuffer<CompletionRecord<Telemetry>> record;
  const std::uint32_t i = first + blockIdx.x;
  StepDraft<CompletionRecord<Telemetry>>& draft = drafts[i];
  copy_record(record, draft.record);
  __syncwarp();
  if (threadIdx.x == 0 && draft.failed != 0) {
    record.value().status = CompletionStatus::failed;
    record.value().code = draft.code;
    draft.failed = 0;
  }
  __syncwarp();
  publish_completion(WarpLanes{}, args.telemetry, 0, batch->first.place + i, record);
}

}  // namespace aatgs::device
