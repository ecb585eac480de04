// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/lanes.hpp>
#include <aatgs/runtime/task.hpp>
#include <concepts>
#include <cstdint>
#include <thread>

namespace aatgs {

/// Lanes that claim entries of a task queue together: one of them asks for all. `all` and
/// `from_first` also make each lane's earlier writes visible to the others.
template <class L>
concept TaskLanes = Lanes<L> && requires(const L lanes, std::uint64_t value) {
  { lanes.from_first(value) } -> std::convertible_to<std::uint64_t>;  // lane 0's, for every lane
};

/// Of all lanes together, and of those before this one.
struct LaneCount {
  std::uint32_t before;
  std::uint32_t total;
};

/// Lanes that deal out tasks together; these calls, too, are for all lanes.
template <class L>
concept DealingLanes = TaskLanes<L> &&
    requires(const L lanes, bool flag, std::uint32_t number, TaskHandle task) {
  { lanes.count(flag) } -> std::same_as<LaneCount>;            // lanes that say yes
  { lanes.add_up(number) } -> std::same_as<LaneCount>;         // sums of the numbers
  { lanes.first_of(flag, task) } -> std::same_as<TaskHandle>;  // of the first that says yes
};

/// One thread on its own.
struct SingleTaskLane : SingleLane {
  AATGS_HOST_DEVICE static constexpr std::uint64_t from_first(std::uint64_t value) { return value; }
  AATGS_HOST_DEVICE static constexpr LaneCount count(bool flag) { return {0, flag ? 1U : 0U}; }
  AATGS_HOST_DEVICE static constexpr LaneCount add_up(std::uint32_t number) { return {0, number}; }
  AATGS_HOST_DEVICE static constexpr TaskHandle first_of(bool, const TaskHandle& task) {
    return task;
  }
};

/// Between two looks at a slot that another worker is using: never gives up. On the host it lets
/// that worker's thread run.
struct KeepWaiting {
  AATGS_HOST_DEVICE bool operator()() const {
#if !defined(__CUDA_ARCH__)
    std::this_thread::yield();
#endif
    return true;
  }
};

}  // namespace aatgs
