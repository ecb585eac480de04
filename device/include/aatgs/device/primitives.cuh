// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace aatgs::device {

/// Nanoseconds of the GPU's global timer, the same on all SMs.
__device__ inline std::uint64_t timer_ns() {
  std::uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

/// Keeps the thread busy for at least so long. `__nanosleep` may take twice as long, or no time.
__device__ inline void spin_for(std::uint64_t ns) {
  for (const std::uint64_t begin = timer_ns(); timer_ns() - begin < ns;) {
  }
}

/// One warp as `Lanes` of a message.
struct WarpLanes {
  __device__ static std::uint32_t rank() { return threadIdx.x % 32; }
  __device__ static constexpr std::uint32_t size() { return 32; }
  __device__ static bool all(bool flag) { return __all_sync(~0U, flag) != 0; }
};

/// Pauses of an idle wait: the first polls are hot, then the pause doubles up to a cap, so that a
/// waiting kernel leaves the bus and the power budget to others.
class Backoff {
 public:
  __device__ void pause() {
    if (++polls_ < hot_polls) return;
    __nanosleep(pause_ns_);
    if (pause_ns_ < longest_pause_ns) pause_ns_ *= 2;
  }

 private:
  static constexpr std::uint32_t hot_polls = 256;  // about 250 us of polls over the bus
  static constexpr std::uint32_t longest_pause_ns = 1024;
  std::uint32_t polls_ = 0;
  std::uint32_t pause_ns_ = 64;
};

/// Orders what this thread has done, and has seen other threads do, before what it does next, for
/// all of this GPU. Before a telemetry is published, and after a config is taken: together they
/// cost 0.2 us of a round trip of 2.9 us (H200), and a step may count on what earlier ones wrote.
__device__ inline void device_fence() {
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
}

}  // namespace aatgs::device
