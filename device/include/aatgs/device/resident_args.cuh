// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/grid_group.cuh>
#include <aatgs/runtime/config_ring.hpp>
#include <aatgs/runtime/resident_state.hpp>
#include <aatgs/runtime/telemetry_ring.hpp>
#include <cstdint>

namespace aatgs::device {

/// Configs that the feeder of a grid may stage ahead of the step at work.
inline constexpr std::uint32_t staging_slots = 8;

/// Everything a resident kernel gets besides the step. Trivially copyable; owns nothing.
struct ResidentArgs {
  ConfigRing config;
  TelemetryRing telemetry;
  ControlBlock* control;        ///< mapped
  ResidentState* state;         ///< device memory
  std::uint64_t* claims;        ///< block scope: [workers] ticket a worker holds, or `no_ticket`
  GridCell* cells;              ///< grid scope: [2][workers]
  Granule* staging;             ///< grid scope: [staging_slots][config.shape.granules + 1]
  std::uint64_t park_after_ns;  ///< 0: never
  std::uint64_t step_deadline_ns;
  std::uint32_t workers;     ///< blocks that run steps; one more is the service block
  std::uint32_t launch;      ///< number of this launch, from 0
  std::uint32_t hot_window;  ///< block scope: workers that poll the bus at a time
};

static_assert(std::is_trivially_copyable_v<ResidentArgs>);

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
  state.barrier[0][0] = 0;
  state.barrier[1][0] = 0;
  return true;
}

/// The service block's watch over idleness. One thread.
class ParkWatch {
 public:
  __device__ explicit ParkWatch(const ResidentArgs& args) : args_(args), quiet_since_(timer_ns()) {}

  /// Whether to leave now. `next`: the lowest ticket not taken, as read from `next_word`; `idle`:
  /// nothing runs. Leaving is announced first and the ring looked at once more: the host publishes
  /// a config and then looks at the announcement, so one of the two sees the other (Dekker). Of a
  /// config that was taken in between, and whose slot may hold a later one, `next_word` tells.
  __device__ bool should_park(std::uint64_t next, const std::uint64_t* next_word, bool idle) {
    if (!idle || next != last_next_) {
      last_next_ = next;
      quiet_since_ = timer_ns();
      return false;
    }
    if (args_.park_after_ns == 0 || timer_ns() - quiet_since_ < args_.park_after_ns) return false;
    announce(Presence::parking);
    full_fence();
    if (!config_in_sight(args_.config, next) && load_shared(next_word) == next) return true;
    announce(Presence::running);
    quiet_since_ = timer_ns();
    return false;
  }

  __device__ void announce(Presence presence) const {
    store_shared(&args_.control->presence, pack_presence(args_.launch, presence));
  }

 private:
  const ResidentArgs& args_;
  std::uint64_t last_next_ = no_ticket;
  std::uint64_t quiet_since_;
};

}  // namespace aatgs::device
