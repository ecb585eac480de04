// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/service.cuh>
#include <aatgs/runtime/step.hpp>
#include <cstdint>

namespace aatgs::device {

namespace block_scope {

/// Least time between two configs of a closed loop, for a worker's sleep before its turn; and what
/// a stream of depth 1 would take, so that one of depth d takes a d-th. Sleeping longer keeps more
/// of the workers off the words that the next one watches, but then a stream begins slowly.
inline constexpr std::int64_t alone_pace_ns = 100;
inline constexpr std::int64_t trip_ns = 1600;
/// Before the first look for the host's answer, beside the time that finding `alone` takes: two
/// ticks of the timer. A look that comes too early costs 1.1 us: one in ten without it, and with
/// one tick still on some runs (H200); with four ticks the median is 0.07 us worse, p99 no better.
inline constexpr std::uint64_t reply_ns = 60;
/// Beyond this many tickets before the window a worker watches `PortState::far`.
inline constexpr std::int64_t far_from = 2 * PortState::far_step;

/// How a worker comes to look for its config; or what it does until then.
enum class Turn {
  leave,
  fed,    ///< configs come in a stream, while others run
  alone,  ///< nothing runs: the host answers to the telemetry that it has just got
  wait,
  come_near,  ///< watch `PortState::near` from here on
};

/// What the configs before a ticket, and those announced, mean for the worker that holds it.
struct Outlook {
  std::int64_t ahead;   ///< tickets before this one that nobody has taken
  std::int64_t window;  ///< of a stream, so many tickets may be polled for
  bool stream;
  bool announced;     ///< this ticket, in a stream
  bool all_finished;  ///< of the tickets before this one

  __device__ Outlook(const Progress& seen, std::uint64_t ticket)
      : ahead(static_cast<std::int64_t>(ticket - seen.taken)),
        window(to_feed(seen.feed).window),
        stream(static_cast<std::int64_t>(to_feed(seen.feed).end - seen.taken) > 0),
        announced(static_cast<std::int64_t>(to_feed(seen.feed).end - ticket) > 0),
        all_finished(seen.finished == ticket) {}

  __device__ Turn turn(Command order, bool near) const {
    if (order == Command::abort || order == Command::yield) return Turn::leave;
    if (!near && ahead <= (stream ? window : 0) + far_from) return Turn::come_near;
    if (near && (ahead < 0 || (announced && ahead < window))) return Turn::fed;  // < 0: taken since
    if (near && ahead == 0 && all_finished) return Turn::alone;
    return order == Command::leave ? Turn::fed : Turn::wait;  // one look, and it leaves
  }
};

/// Waits until the ticket is one of the next to come. One warp.
///
/// Pollers are in each other's way on the bus, so the others watch words in device memory, the more
/// rarely the further off they are. In a closed loop the next worker, too, does not poll before the
/// last step has ended: a poll takes 1.1 us, loads of one address follow one another, and one that
/// sets out just before the answer comes would delay the one that finds it.
__device__ inline Turn wait_for_turn(const ResidentArgs& args, const PortState& state,
                                     std::uint64_t ticket) {
  for (bool near = false;;) {
    const auto order = static_cast<Command>(load_shared(&args.state->order));
    const Outlook outlook(read_progress(near ? state.near : state.far), ticket);
    // The word of one lane: those that read at different moments must not part.
    const auto turn =
        static_cast<Turn>(__shfl_sync(~0U, static_cast<int>(outlook.turn(order, near)), 0));
    if (turn == Turn::come_near) {
      near = true;
    } else if (turn != Turn::wait) {
      return turn;
    } else if (outlook.ahead > 0) {
      __nanosleep(min(outlook.ahead, 4096L) *
                  (outlook.stream ? trip_ns / outlook.window : alone_pace_ns));
    }
  }
}

/// The granules after the first 32, which may still be on their way. All are asked for at once: one
/// trip over the bus, not one for every 32. False: abort.
template <std::uint32_t Granules>
__device__ bool read_rest(const ResidentArgs& args, const Granule* slot, std::uint32_t lap,
                          MessageWord* words) {
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

/// Polls for the config of `ticket` and reads it into `words`; what earlier configs wrote is
/// visible afterwards. False: leave instead. One warp.
///
/// One load at a time: loads of the same address over the bus follow one another, so that two on
/// their way only make each other late (1.9 us each instead of 1.0, H200).
template <std::uint32_t Granules>
__device__ bool poll_for_config(const ResidentArgs& args, const ConfigRing& ring,
                                std::uint64_t ticket, MessageWord* words) {
  constexpr std::uint32_t first = Granules < 32 ? Granules : 32;
  const Granule* slot = ring.granules + ring.shape.offset_of(ticket);
  const std::uint32_t lap = ring.shape.lap_of(ticket);
  const std::uint32_t lane = threadIdx.x < first ? threadIdx.x : 0;
  for (Backoff backoff;; backoff.pause()) {
    const Granule seen = load_granule(slot + lane);
    const std::uint32_t order = load_shared(&args.state->order);
    if (WarpLanes::all(seen.lap() == lap)) {
      unpack_granule(seen, words + 3 * lane);
      if constexpr (Granules > 32) {
        if (!read_rest<Granules>(args, slot, lap, words)) return false;
      }
      acquire_fence();
      return true;
    }
    if (!WarpLanes::all(order == static_cast<std::uint32_t>(Command::run))) return false;
  }
}

/// The config of `ticket` into `words`, when it comes. False: leave instead. One warp.
template <std::uint32_t Granules>
__device__ bool take(const ResidentArgs& args, const Port& port, std::uint64_t ticket,
                     MessageWord* words) {
  const Turn turn = wait_for_turn(args, *port.state, ticket);
  if (turn == Turn::alone) spin_for(reply_ns);
  return turn != Turn::leave && poll_for_config<Granules>(args, port.config, ticket, words);
}

/// Adds one to a count that nobody waits for here.
__device__ inline void count_one(std::uint64_t& count) {
  atomicAdd(reinterpret_cast<unsigned long long*>(&count), 1ULL);
}

__device__ inline void count_taken(PortState& state, std::uint64_t ticket) {
  count_one(state.near.taken);
  if (ticket % PortState::far_step != 0) return;
  atomicMax(reinterpret_cast<unsigned long long*>(&state.far.taken), ticket);
}

}  // namespace block_scope

/// The persistent kernel of `Scope::block`: every worker block takes a config of its port when it
/// is free, runs the step and publishes the completion; the last block serves the host's orders.
template <class Step, class Config, class Telemetry>
__global__ void __launch_bounds__(step_block_threads<Step>(), step_blocks_per_sm<Step>())
    resident_block_kernel(const __grid_constant__ ResidentArgs args,
                          const __grid_constant__ Step step) {
  constexpr unsigned Threads = step_block_threads<Step>();
  using Group = BlockGroup<Threads>;
  using Record = CompletionRecord<Telemetry>;
  __shared__ BlockShared shared;
  __shared__ MessageBuffer<Config> config;
  __shared__ MessageBuffer<Record> record;
  __shared__ bool leaving;
  const std::uint32_t worker = blockIdx.x;
  const bool first_warp = threadIdx.x < 32;
  if (worker == args.workers) {
    if (first_warp) Service(args).run();
    leave_launch(args);
    return;
  }

  const Port& port = args.ports[worker % args.port_count];
  PortState& state = *port.state;
  Group group(shared, *args.state);
  if constexpr (requires { step.enter(group); }) step.enter(group);
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
          block_scope::take<MessageBuffer<Config>::granules>(args, port, ticket, config.words());
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
    }
    __syncthreads();
    if (leaving) break;
    if (threadIdx.x == Threads - 1) {
      block_scope::count_taken(state, shared.ticket);
      mark_taken(port.config, shared.ticket);
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
        if (args.events.is_on()) {
          const Record& r = record.value();
          note_block(args.events, EventKind::config, ticket, r.taken_ns, r.started_ns,
                     r.finished_ns);
        }
      }
      // What this step wrote is visible before its telemetry is.
      if constexpr (step_writes_memory<Step>()) device_fence();
      __syncwarp();
      publish_completion(WarpLanes{}, port.telemetry, worker, ticket, record);
      if (threadIdx.x == 0) block_scope::count_one(state.near.finished);
      __syncwarp();  // all lanes have read the record before thread 0 begins the next
    }
    ticket = no_ticket;
  }
  if (threadIdx.x == 0) args.claims[worker] = ticket;
  if constexpr (requires { step.leave(group); }) step.leave(group);
  leave_launch(args);
}

}  // namespace aatgs::device
