// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/task_claim.hpp>
#include <cstdint>

namespace aatgs {

/// By which the workers of one run tell, exactly, that nothing is left. In the workers' memory;
/// zeroed at the start of a run.
///
/// A worker becomes idle only when it has found every queue empty since it last pushed or popped.
/// Then the last one to become idle is the end: whoever changed a queue last has looked at it
/// since, and what it saw is what is there now.
struct TaskIdle {
  alignas(line_bytes) std::uint32_t workers;  ///< without a task
};

/// A worker has no task; see above for when. Returns whether it is the last of `workers`: nothing
/// is left, nothing comes any more, and what all have done is visible. One thread of the worker.
AATGS_HOST_DEVICE inline bool become_idle(TaskIdle& idle, std::uint32_t workers) {
  const detail::WorkerAtomic<std::uint32_t> count(idle.workers);
  return count.fetch_add(1, cuda::memory_order_acq_rel) + 1 == workers;
}

/// An idle worker goes to take a task that it has seen; before it tries.
AATGS_HOST_DEVICE inline void leave_idle(TaskIdle& idle) {
  detail::WorkerAtomic<std::uint32_t>(idle.workers).fetch_sub(1, cuda::memory_order_acq_rel);
}

}  // namespace aatgs
