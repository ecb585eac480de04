// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/grid_group.cuh>
#include <aatgs/runtime/event_ring.hpp>
#include <aatgs/runtime/port.hpp>
#include <cstdint>

namespace aatgs::device {

/// Configs that the feeder of a grid may stage ahead of the step at work.
inline constexpr std::uint32_t staging_slots = 8;

/// Among so many places the words of a context's grid barrier are chosen.
inline constexpr std::uint32_t barrier_places = 16;

/// Everything a resident kernel gets besides the step. Trivially copyable; owns nothing.
struct ResidentArgs {
  Port ports[max_ports];
  ControlBlock* control;        ///< mapped
  ResidentState* state;         ///< device memory
  std::uint64_t* claims;        ///< block scope: [workers] ticket a worker holds, or `no_ticket`
  GridCell* cells;              ///< grid scope: [2][workers]
  BarrierPlace* barriers;       ///< grid scope: [barrier_places + 1], the last for the choice alone
  EventRing events;             ///< off, or what workers write of each config
  Granule* staging;             ///< grid scope: [staging_slots][config.shape.granules + 1]
  std::uint64_t park_after_ns;  ///< 0: never
  std::uint64_t leave_after;    ///< configs of a port in one launch; 0: any number
  std::uint64_t step_deadline_ns;
  std::uint32_t port_count;  ///< grid scope: 1
  std::uint32_t workers;     ///< blocks that run steps; one more is the service block
  std::uint32_t launch;      ///< number of this launch, from 0; of a bounded kernel from 1
  bool bounded;              ///< leave as soon as nothing is queued
};

static_assert(std::is_trivially_copyable_v<ResidentArgs>);

/// The SM that this block is on.
__device__ inline std::uint32_t sm_number() {
  std::uint32_t number;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(number));
  return number;
}

/// Writes down what this block did. One thread.
__device__ inline void note_block(const EventRing& ring, EventKind kind, std::uint64_t ticket,
                                  std::uint64_t taken_ns, std::uint64_t started_ns,
                                  std::uint64_t finished_ns) {
  note_event(ring, {ticket, taken_ns, started_ns, finished_ns, kind,
                    static_cast<std::uint16_t>(sm_number()), blockIdx.x});
}

/// The same of a part of a step of grid scope, which ends now. Out of line: inline it takes 14
/// registers of the kernel, so that fewer workers of a task graph fit an SM; the call, even if it
/// is not made, costs an empty step 1 %.
__device__ __noinline__ inline void note_part(const EventRing& ring, std::uint64_t ticket,
                                              std::uint64_t started_ns) {
  note_block(ring, EventKind::config, ticket, 0, started_ns, timer_ns());
}

/// `Progress` in two loads.
__device__ inline Progress read_progress(const Progress& progress) {
  static_assert(offsetof(Progress, finished) == offsetof(Progress, taken) + 8);
  const Granule counts = load_granule(reinterpret_cast<const Granule*>(&progress.taken));
  return {counts.low, counts.high, load_granule(&progress.feed)};
}

/// Counts this block as gone; the last one resets what belongs to one launch. All threads of each
/// block. True for one thread of the last block.
__device__ inline bool leave_launch(const ResidentArgs& args) {
  __syncthreads();
  if (threadIdx.x != 0) return false;
  __threadfence();
  ResidentState& state = *args.state;
  if (atomicAdd(&state.exited, 1U) + 1 != gridDim.x) return false;
  state.exited = 0;
  state.order = 0;
  if (args.barriers != nullptr) reset_barrier(args.barriers[state.barrier_place].words);
  return true;
}

}  // namespace aatgs::device
