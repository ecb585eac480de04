// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_args.cuh>
#include <aatgs/runtime/step.hpp>
#include <cstdint>

namespace aatgs::device {

namespace block_scope {

inline constexpr std::int64_t fastest_config_ns = 20;  ///< no host thread queues faster
inline constexpr std::uint64_t rush =
    64;  ///< tickets that poll at once while configs are found waiting

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
    if (watch.should_park(taken, &state.taken, idle)) {
      store_shared(&state.order, static_cast<std::uint32_t>(Command::leave));
      return;
    }
    __nanosleep(500);
  }
}

/// Waits until the ticket is one of the next to come. False: leave instead. One warp.
///
/// Only the workers whose tickets come next poll over the bus, since pollers are in each other's
/// way there; the others watch words in device memory, the more rarely the further off they are.
__device__ inline bool wait_for_turn(const ResidentArgs& args, std::uint64_t ticket) {
  const ResidentState& state = *args.state;
  for (;;) {
    const std::uint32_t order = load_shared(&state.order);
    const std::uint64_t taken = load_shared(&state.taken);
    const std::uint64_t rush_end = load_shared(&state.rush_end);
    const auto ahead = static_cast<std::int64_t>(ticket - taken);
    const bool near = ahead < args.hot_window || static_cast<std::int64_t>(ticket - rush_end) < 0;
    // By vote: lanes that read at different moments must not part.
    if (!WarpLanes::all(order != static_cast<std::uint32_t>(Command::abort))) return false;
    if (WarpLanes::all(near)) return true;
    if (!WarpLanes::all(order != static_cast<std::uint32_t>(Command::leave))) return false;
    __nanosleep(ahead < 4096 ? ahead * fastest_config_ns : 4096 * fastest_config_ns);
  }
}

/// The granules after the first 32, which may still be on their way. All are asked for at once: one
/// trip over the bus, not one for every 32. False: abort.
template <std::uint32_t Granules>
__device__ bool read_rest(const ResidentArgs& args, const Granule* slot, std::uint32_t lap,
                          std::uint32_t* words) {
  constexpr std::uint32_t rounds = (Granules - 1) / 32;
  do {
    Granule seen[rounds];
    bool here = true;
#pragma unroll
    for (std::uint32_t r = 0; r < rounds; ++r) {
      const std::uint32_t i = 32 * (r + 1) + threadIdx.x;
      if (i < Granules) seen[r] = load_granule(slot + i);
    }
#pragma unroll
    for (std::uint32_t r = 0; r < rounds; ++r) {
      const std::uint32_t i = 32 * (r + 1) + threadIdx.x;
      if (i >= Granules) continue;
      here = here && seen[r].lap() == lap;
      unpack_granule(seen[r], words + 3 * i);
    }
    if (WarpLanes::all(here)) return true;
  } while (WarpLanes::all(load_shared(&args.state->order) !=
                          static_cast<std::uint32_t>(Command::abort)));
  return false;
}

/// Polls for the config of `ticket` and reads it into `words`. False: leave instead. One warp.
///
/// One load at a time: with two or three on their way the bus is sampled more often, but a fence or
/// a store behind them waits for all, and the round trip grows from 3.0 to 4.3 and 5.6 us (H200).
template <std::uint32_t Granules>
__device__ bool poll_for_config(const ResidentArgs& args, std::uint64_t ticket,
                                std::uint32_t* words) {
  constexpr std::uint32_t first = Granules < 32 ? Granules : 32;
  const Granule* slot = args.config.granules + args.config.shape.offset_of(ticket);
  const std::uint32_t lap = args.config.shape.lap_of(ticket);
  const std::uint32_t lane = threadIdx.x < first ? threadIdx.x : 0;
  Backoff backoff;
  for (bool waited = false;; waited = true) {
    const Granule seen = load_granule(slot + lane);
    const std::uint32_t order = load_shared(&args.state->order);
    if (WarpLanes::all(seen.lap() == lap)) {
      unpack_granule(seen, words + 3 * lane);
      if (!waited && threadIdx.x == 0) {  // it was waiting for us, so more may be
        atomicMax(reinterpret_cast<unsigned long long*>(&args.state->rush_end), ticket + rush);
      }
      if constexpr (Granules > 32) return read_rest<Granules>(args, slot, lap, words);
      return true;
    }
    if (!WarpLanes::all(order == static_cast<std::uint32_t>(Command::run))) return false;
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
  constexpr unsigned Threads = step_block_threads<Step>();
  using Group = BlockGroup<Threads>;
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
      const bool here =
          block_scope::wait_for_turn(args, ticket) &&
          block_scope::poll_for_config<MessageBuffer<Config>::granules>(args, ticket, config.words);
      if (threadIdx.x == 0) {
        leaving = !here;
        if (here) {
          record.value().taken_ns = timer_ns();
          record.value().status = CompletionStatus::ok;
          record.value().code = 0;
          record.value().telemetry = Telemetry{};
          shared.ticket = ticket;
          shared.failed = 0;
        }
      }
      device_fence();  // what earlier configs wrote is visible to this step
    }
    __syncthreads();
    if (leaving) break;
    if (threadIdx.x == Threads - 1) {
      atomicAdd(reinterpret_cast<unsigned long long*>(&state.taken), 1ULL);
      mark_taken(args.config, shared.ticket);
    }
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
      device_fence();  // what this step wrote is visible before its telemetry is
      __syncwarp();
      publish_completion(WarpLanes{}, args.telemetry, worker, ticket, record.words);
      __syncwarp();  // all lanes have read the record before thread 0 begins the next
    }
    ticket = no_ticket;
  }
  if (threadIdx.x == 0) args.claims[worker] = ticket;
  if constexpr (requires { step.leave(group); }) step.leave(group);
  leave_launch(args);
}

}  // namespace aatgs::device
