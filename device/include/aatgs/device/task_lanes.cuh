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
  __device__ static LaneCount count(bool flag) {
    __syncwarp();
    const std::uint32_t votes = __ballot_sync(~0U, flag);
    return {static_cast<std::uint32_t>(__popc(votes & ((1U << rank()) - 1))),
            static_cast<std::uint32_t>(__popc(votes))};
  }
  __device__ static LaneCount add_up(std::uint32_t number) {
    __syncwarp();
    std::uint32_t sum = number;
    for (unsigned distance = 1; distance < size(); distance *= 2) {
      const std::uint32_t before = __shfl_up_sync(~0U, sum, distance);
      if (rank() >= distance) sum += before;
    }
    return {sum - number, __shfl_sync(~0U, sum, size() - 1)};
  }
  __device__ static TaskHandle first_of(bool flag, const TaskHandle& task) {
    __syncwarp();
    const int lane = __ffs(static_cast<int>(__ballot_sync(~0U, flag))) - 1;
    return {__shfl_sync(~0U, task.id, lane), __shfl_sync(~0U, task.config_at, lane),
            __shfl_sync(~0U, task.kind, lane)};
  }
};

}  // namespace aatgs::device
