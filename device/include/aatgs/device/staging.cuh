// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_args.cuh>
#include <cstdint>

namespace aatgs::device {

/// Grid scope reads configs from a second, short ring in device memory, in granules of their own
/// laps: the payload is the poll here too. Valid laps have the top bit set.
__device__ inline std::uint32_t staging_lap(std::uint64_t ticket) {
  return static_cast<std::uint32_t>(ticket / staging_slots) | 0x8000'0000U;
}
inline constexpr std::uint32_t leave_lap = 1;  ///< in a slot's first granule: no more configs

/// First granule of a ticket's staging slot; the config's granules, then one with the time taken.
template <std::uint32_t Granules>
__device__ Granule* staging_slot(const ResidentArgs& args, std::uint64_t ticket) {
  return args.staging + (ticket % staging_slots) * (Granules + 1);
}

/// A config as a worker block holds it in shared memory.
template <class Config>
class StagedConfig {
 public:
  static constexpr std::uint32_t granules = MessageBuffer<Config>::granules;

  __device__ const Config& value() const { return config_.value(); }
  __device__ std::uint64_t taken_ns() const { return time_[0] | (std::uint64_t{time_[1]} << 32); }

  __device__ void set(std::uint32_t i, const Granule& g) {
    unpack_granule(g, i < granules ? config_.words() + 3 * i : time_);
  }

 private:
  MessageBuffer<Config> config_;
  std::uint32_t time_[3];
};

/// Moves those of the next configs that have arrived into staging slots that are free; returns how
/// many are complete. One warp. Granules go on one by one, as they come: the workers check them.
template <std::uint32_t Granules>
__device__ std::uint32_t stage_configs(const ResidentArgs& args, std::uint64_t next) {
  constexpr std::uint32_t rounds = (Granules + 31) / 32;
  constexpr std::uint32_t batch = rounds == 1 ? 4 : 1;  // one bus latency fetches all of them
  Granule g[batch][rounds];
  const ConfigRing& ring = args.ports[0].config;
  Progress& progress = args.ports[0].state->near;
  const std::uint64_t room_end =
      __shfl_sync(~0U, load_shared(&progress.finished), 0) + staging_slots;
#pragma unroll
  for (std::uint32_t k = 0; k < batch; ++k) {
    const Granule* from = ring.granules + ring.shape.offset_of(next + k);
#pragma unroll
    for (std::uint32_t r = 0; r < rounds; ++r) {
      const std::uint32_t i = r * 32 + threadIdx.x;
      if (i < Granules) g[k][r] = load_granule(from + i);
    }
  }
  std::uint32_t moved = 0;
#pragma unroll
  for (std::uint32_t k = 0; k < batch; ++k) {
    const std::uint64_t ticket = next + k;
    if (moved != k || ticket >= room_end) break;
    Granule* to = staging_slot<Granules>(args, ticket);
    bool here = true;
#pragma unroll
    for (std::uint32_t r = 0; r < rounds; ++r) {
      const std::uint32_t i = r * 32 + threadIdx.x;
      if (i >= Granules) continue;
      const bool arrived = g[k][r].lap() == ring.shape.lap_of(ticket);
      if (arrived) {
        g[k][r].high = (g[k][r].high & 0xFFFF'FFFFU) | (std::uint64_t{staging_lap(ticket)} << 32);
        store_granule(to + i, g[k][r]);
      }
      here = here && arrived;
    }
    if (!WarpLanes::all(here)) break;
    if (threadIdx.x == 0) {
      const std::uint64_t now = timer_ns();
      store_granule(to + Granules,
                    Granule::make(static_cast<std::uint32_t>(now),
                                  static_cast<std::uint32_t>(now >> 32), 0, staging_lap(ticket)));
      store_shared(&progress.taken, ticket + 1);
      mark_taken(ring, ticket);
    }
    ++moved;
  }
  return moved;
}

/// Waits until a config is staged; what the host had copied to the GPU before it queued the config
/// can then be read by the block, after a sync. False: the leave mark is there instead. One warp.
///
/// By acquiring loads, since else this SM's L1 may hold lines from before the copy: those of the
/// kernel that zeroed the memory were seen (H200). An acquiring fence behind plain loads takes no
/// less here.
template <std::uint32_t Granules, class Config>
__device__ bool wait_for_staged(const ResidentArgs& args, std::uint64_t ticket,
                                StagedConfig<Config>& into) {
  const Granule* slot = staging_slot<Granules>(args, ticket);
  const std::uint32_t lap = staging_lap(ticket);
  const std::uint32_t lane = threadIdx.x % 32;
  for (;;) {
    bool here = true;
    bool leave = false;
    for (std::uint32_t i = lane; i < Granules + 1; i += 32) {
      const Granule g = load_granule_acquire(slot + i);
      here = here && g.lap() == lap;
      leave = leave || (i == 0 && g.lap() == leave_lap);
      into.set(i, g);
    }
    if (WarpLanes::all(here)) return true;
    if (!WarpLanes::all(!leave)) return false;
  }
}

/// Takes leave marks out of the slots, for the next launch. One thread, when all others have left.
__device__ inline void clear_staging(const ResidentArgs& args) {
  for (std::uint32_t slot = 0; slot < staging_slots; ++slot) {
    store_granule(args.staging + slot * (args.ports[0].config.shape.granules + 1), Granule{});
  }
}

/// Writes the leave mark into the slot of `ticket`. One thread.
__device__ inline void stage_leave_mark(const ResidentArgs& args, std::uint64_t ticket) {
  store_granule(args.staging + (ticket % staging_slots) * (args.ports[0].config.shape.granules + 1),
                Granule::make(0, 0, 0, leave_lap));
}

}  // namespace aatgs::device
