// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/resident_args.cuh>
#include <cstdint>

namespace aatgs::device {

/// Finds the place of the grid barrier's words with which it is fastest, by trying each. One thread
/// of each worker block; half a millisecond.
///
/// It is the part of the L2 cache that counts, which changes every 256 bytes, and how near it is to
/// block 0, which comes late here as it does between steps. On H200s barriers took 0.85 instead of
/// 0.89 us, empty steps 0.99 instead of 1.02 to 1.07.
///
/// Out of line: it is called once, and the step's code should not make room for it.
__device__ __noinline__ inline void choose_barrier(const ResidentArgs& args,
                                                   std::uint64_t next_ticket) {
  constexpr unsigned warm_ups = 4;
  constexpr unsigned trials = 32;
  constexpr unsigned late_cycles = 200;
  const auto make = [&](std::uint32_t place) {
    return GridBarrier(*args.state, args.barriers[place].words, *args.control, args.workers,
                       args.step_deadline_ns);
  };
  const auto wait = [&](GridBarrier& barrier) {
    if (blockIdx.x == 0) {
      for (const auto begin = clock64(); clock64() - begin < late_cycles;) {
      }
    }
    barrier.arrive_and_wait(ArrivalFlag::none, next_ticket);
  };
  std::uint32_t best = 0;
  std::uint64_t least_ns = ~std::uint64_t{0};
  for (std::uint32_t place = 0; place < barrier_places; ++place) {
    GridBarrier barrier = make(place);
    for (unsigned i = 0; i < warm_ups; ++i) wait(barrier);
    const std::uint64_t begin = timer_ns();
    for (unsigned i = 0; i < trials; ++i) wait(barrier);
    const std::uint64_t took = timer_ns() - begin;
    if (took < least_ns) best = place;
    least_ns = min(least_ns, took);
  }
  GridBarrier aside = make(barrier_places);
  wait(aside);  // nobody looks at the other words any more
  if (blockIdx.x == 0) {
    reset_barrier(args.barriers[best].words);
    args.state->barrier_place = best;
  }
  wait(aside);
}

}  // namespace aatgs::device
