// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <aatgs/device/resident_args.cuh>
#include <aatgs/runtime/step.hpp>

namespace aatgs::device {

namespace block_scope {

/// Passes the host's orders on to the workers and parks the kernel. One thread of the last block.
__device__ inline void serve(const ResidentArgs& args) {
  ResidentState& state = *args.state;
  ParkWatch watch(args);
  watch.announce(Presence::running);
  for (;;) {
    const std::uint32_t command = load_shared(&args.control->command);
    if (command != static_cast<std::uint32_t>(Command::run)) {
      store_shared(&state.order, command);
      return;
    }
    const std::uint64_t taken = load_shared(&state.taken);
    // A worker claims a ticket when it is done with the one before, so when all hold one that is
    // not taken, nothing runs.
    const bool idle = load_shared(&state.next_claim) - taken == args.workers;
    if (watch.should_park(taken, idle)) {
      store_shared(&state.order, static_cast<std::uint32_t>(Command::leave));
      return;
    }
    __nanosleep(500);
  }
}

/// Waits until the config of `ticket` is in `words`. False: leave instead. One warp.
///
/// Only the `hot_window` workers whose tickets come next poll over the bus; the others watch a word
/// in device memory.
__device__ inline bool wait_for_config(const ResidentArgs& args, std::uint64_t ticket,
                                       std::uint32_t* words) {
  const ResidentState& state = *args.state;
  Backoff backoff;
  for (;;) {
    const std::uint32_t order = load_shared(&state.order);
    if (order == static_cast<std::uint32_t>(Command::abort)) return false;
    const auto ahead = static_cast<std::int64_t>(ticket - load_shared(&state.taken));
    if (ahead < static_cast<std::int64_t>(args.hot_window)) {
      if (take_config(WarpLanes{}, args.config, ticket, words)) return true;
    }
    if (order == static_cast<std::uint32_t>(Command::leave)) return false;
    backoff.pause();
  }
}

}  // namespace block_scope

/// The persistent kernel of `Scope::block`: every worker block takes a config when it is free, runs
/// the step and publishes the completion; the last block serves the host's orders.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>())
    resident_block_kernel(const __grid_constant__ ResidentArgs args,
                          const __grid_constant__ Step step) {
  using Group = BlockGroup<step_block_threads<Step>()>;
  using Record = CompletionRecord<Telemetry>;
  __shared__ BlockShared shared;
  __shared__ MessageBuffer<Config> config;
  __shared__ MessageBuffer<Record> record;
  __shared__ bool leaving;
  ResidentState& state = *args.state;
  const std::uint32_t worker = blockIdx.x;
  if (worker == args.workers) {
    if (threadIdx.x == 0) block_scope::serve(args);
    leave_launch(args);
    return;
  }

  Group group(shared, state);
  if constexpr (requires { step.enter(group); }) step.enter(group);
  const bool first_warp = threadIdx.x < 32;
  std::uint64_t ticket = args.claims[worker];  // kept from before a park
  for (;;) {
    if (first_warp) {
      if (ticket == no_ticket) {
        if (threadIdx.x == 0) {
          ticket = atomicAdd(reinterpret_cast<unsigned long long*>(&state.next_claim), 1ULL);
        }
        ticket = __shfl_sync(~0U, ticket, 0);
      }
      const bool here = block_scope::wait_for_config(args, ticket, config.words);
      if (threadIdx.x == 0) {
        leaving = !here;
        if (here) {
          record.value().taken_ns = timer_ns();
          record.value().status = CompletionStatus::ok;
          record.value().code = 0;
          record.value().telemetry = Telemetry{};
          shared.ticket = ticket;
          shared.failed = 0;
          mark_taken(args.config, ticket);
          atomicAdd(reinterpret_cast<unsigned long long*>(&state.taken), 1ULL);
        }
      }
      __threadfence();  // what earlier configs wrote is visible to this step
    }
    __syncthreads();
    if (leaving) break;
    if (threadIdx.x == 0) record.value().started_ns = timer_ns();
    step(group, config.value(), record.value().telemetry);
    __syncthreads();
    if (first_warp) {
      if (threadIdx.x == 0) {
        record.value().finished_ns = timer_ns();
        if (shared.failed != 0) {
          record.value().status = CompletionStatus::failed;
          record.value().code = shared.code;
        }
      }
      __threadfence();  // what this step wrote is visible before its telemetry is
      __syncwarp();
      publish_completion(WarpLanes{}, args.telemetry, worker, ticket, record.words);
    }
    ticket = no_ticket;
  }
  if (threadIdx.x == 0) args.claims[worker] = ticket;
  if constexpr (requires { step.leave(group); }) step.leave(group);
  leave_launch(args);
}

}  // namespace aatgs::device
