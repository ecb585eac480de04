// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/barrier_choice.cuh>
#include <aatgs/device/service.cuh>
#include <aatgs/device/staging.cuh>
#include <aatgs/runtime/step.hpp>
#include <cstdint>

namespace aatgs::device {

namespace grid_scope {

/// Between the end of a step and the first look for the host's answer to it: a look that comes just
/// too early delays the one that finds it by 1.1 us. Closed loops of empty steps on an H200 took so
/// many us in the median and in the 90th percentile: with 100 ns 5.2 and 5.7, with 200 ns 3.8 and
/// 5.6, with 250 ns 3.7 and 5.3, with 300 ns 3.7 and 4.3.
inline constexpr std::uint64_t reply_ns = 300;

/// Moves configs from the ring into the staging slots, so that a worker finds the next one in
/// device memory. One warp. Ends with the leave mark behind the last config (that end is modelled
/// in tests/models/feeder.pml).
template <std::uint32_t Granules>
__device__ void feed(const ResidentArgs& args) {
  const Progress& progress = args.ports[0].state->near;
  const std::uint32_t* order = &args.state->order;
  std::uint64_t next = load_shared(&progress.finished);
  bool was_running = false;
  Backoff backoff;
  for (;;) {
    const auto command = static_cast<Command>(load_shared(order));
    const Progress seen = read_progress(progress);
    const bool leave = command == Command::leave;
    const bool fed = leave || static_cast<std::int64_t>(to_feed(seen.feed).end - next) > 0;
    // By vote: lanes that read at different moments must not part.
    if (!WarpLanes::all(command == Command::run || leave)) break;
    if (!WarpLanes::all(fed || seen.finished == next)) {  // see block_scope::wait_for_turn
      was_running = true;
      continue;
    }
    if (was_running) spin_for(reply_ns);
    was_running = false;
    const std::uint32_t moved = stage_configs<Granules>(args, next);
    if (moved == 0) {
      if (!WarpLanes::all(!leave || seen.finished != next)) break;
      backoff.pause();
      continue;
    }
    next += moved;
    backoff = Backoff();
  }
  // With all staging slots in use, all blocks must have read the oldest before the mark takes its
  // place. After an abort that moment may never come, and the workers need no mark: behind the step
  // at work they run at most two more, and the config behind those is staged.
  while (next - load_shared(&progress.finished) >= staging_slots) {
    if (static_cast<Command>(load_shared(order)) == Command::abort) return;
  }
  if (threadIdx.x == 0) stage_leave_mark(args, next);
}

/// Publishes the completion of a step that all blocks have finished. Warp 0 of block 0, which comes
/// late to the next barrier for it: when this took 520 cycles, it was the last there in 98 of 100
/// empty steps (H200).
template <class Record>
__device__ void publish(const ResidentArgs& args, ArrivalFlags flags, GridBarrier& barrier,
                        std::uint64_t ticket, MessageBuffer<Record>& record) {
  if (threadIdx.x == 0) {
    Record& r = record.value();
    r.finished_ns = timer_ns();
    if (flags.failures() != 0) {
      barrier.clear_failures(flags.failures());
      r.status = CompletionStatus::failed;
      r.code = atomicExch(&args.state->fail_code[ticket & 1], 0U);
    }
    store_shared(&args.ports[0].state->near.finished, ticket + 1);
  }
  __syncwarp();
  publish_completion(WarpLanes{}, args.ports[0].telemetry, 0, ticket, record);
}

/// What else there is to do for the next step: an empty record, and what the host has ordered is
/// returned. One thread of block 0, beside warp 0: after it, each step took 0.01 us longer (H200).
template <class Record>
__device__ std::uint32_t prepare_next(const ResidentArgs& args, Record& next) {
  next = Record{};
  return load_shared(&args.state->order);
}

}  // namespace grid_scope

/// The persistent kernel of `Scope::grid`: all worker blocks run one config together; the last
/// block stages the next ones meanwhile. Between two steps stands one barrier: the next config is
/// read from device memory while it is waited for.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), step_blocks_per_sm<Step>())
    resident_grid_kernel(const __grid_constant__ ResidentArgs args,
                         const __grid_constant__ Step step) {
  constexpr unsigned threads = step_block_threads<Step>();
  static_assert(threads >= 64, "AATGS: Scope::grid needs block_threads of at least 64");
  constexpr std::uint32_t granules = MessageBuffer<Config>::granules;
  using Record = CompletionRecord<Telemetry>;
  __shared__ BlockShared shared;
  __shared__ StagedConfig<Config> configs[2];
  __shared__ MessageBuffer<Record> records[2];  // by turns: one is written while one is read
  __shared__ std::uint32_t orders[2];           // block 0, by turns: the host's
  __shared__ bool leaving;
  ResidentState& state = *args.state;
  if (blockIdx.x == args.workers) {
    if (threadIdx.x < 32) grid_scope::feed<granules>(args);
    if (threadIdx.x / 32 == 1) Service(args).run();
    if (leave_launch(args)) clear_staging(args);
    return;
  }

  std::uint64_t ticket = load_shared(&args.ports[0].state->near.finished);
  if (args.launch == 0) {
    if (threadIdx.x == 0) choose_barrier(args, ticket);
    __syncthreads();
  }
  GridBarrier barrier(state, args.barriers[state.barrier_place].words, *args.control, args.workers,
                      args.step_deadline_ns);
  GridGroup<threads> group(shared, state, barrier, args.cells, args.workers);
  if (threadIdx.x == 0) {
    records[ticket & 1].value() = Record{};
    shared.ticket = ticket;
    shared.failed = 0;
    orders[ticket & 1] = 0;
    leaving = false;
  }
  if constexpr (requires { step.enter(group); }) step.enter(group);
  __syncthreads();
  if (threadIdx.x / 32 == 1 && !wait_for_staged<granules>(args, ticket, configs[ticket & 1])) {
    leaving = true;
  }
  __syncthreads();
  while (!leaving) {
    StagedConfig<Config>& config = configs[ticket & 1];
    MessageBuffer<Record>& record = records[ticket & 1];
    if (threadIdx.x == 32) {  // thread 0 does enough between two barriers
      record.value().taken_ns = config.taken_ns();
      record.value().started_ns = timer_ns();
    }
    step(group, config.value(), record.value().telemetry);
    __syncthreads();
    if (threadIdx.x < 32) {
      ArrivalFlags flags{};
      if (threadIdx.x == 0) {
        auto flag = ArrivalFlag::none;
        if (shared.failed != 0) {
          flag = ArrivalFlag::failed;
          atomicExch(&state.fail_code[ticket & 1], shared.code);
          shared.failed = 0;
        }
        if (blockIdx.x == 0 && orders[ticket & 1] == static_cast<std::uint32_t>(Command::abort)) {
          flag = ArrivalFlag::leave;
        }
        flags = barrier.arrive_and_wait(flag, ticket);
        shared.ticket = ticket + 1;
        if (flags.leave()) leaving = true;
      }
      if (blockIdx.x == 0) {
        flags.bits = __shfl_sync(~0U, flags.bits, 0);
        grid_scope::publish(args, flags, barrier, ticket, record);
      }
    } else if (threadIdx.x / 32 == 1) {
      const std::uint64_t next = ticket + 1;
      if (threadIdx.x == 32 && blockIdx.x == 0) {
        orders[next & 1] = grid_scope::prepare_next(args, records[next & 1].value());
      }
      if (threadIdx.x == 32 && args.events.is_on()) {  // where it delays nobody
        note_part(args.events, ticket, record.value().started_ns);
      }
      if (!wait_for_staged<granules>(args, next, configs[next & 1])) leaving = true;
    }
    ++ticket;
    __syncthreads();
  }
  if constexpr (requires { step.leave(group); }) step.leave(group);
  if (leave_launch(args)) clear_staging(args);
}

}  // namespace aatgs::device
