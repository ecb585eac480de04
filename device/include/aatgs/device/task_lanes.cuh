// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/primitives.cuh>
#include <aatgs/runtime/task_lanes.hpp>

namespace aatgs::device {

/// A whole warp at a task queue. Entries that it moves lie in shared or global memory.
struct WarpTaskLanes : WarpLanes {
  __device__ static bool all(bool flag) {
    __syncwarp();  // a vote alone orders no memory
    return WarpLanes::all(flag);
  }
  __device__ static std::uint64_t from_first(std::uint64_t value) {
    __syncwarp();
    return __shfl_sync(~0U, value, 0);
  }
};

}  // namespace aatgs::device
