// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/task_scheduler.hpp>
#include <cuda/atomic>
#include <functional>
#include <memory>

#include "messages.hpp"

namespace aatgs::soak {

/// What a task does follows from its seed alone, so that the host can say what should come of it.
struct TaskDraw {
  std::uint64_t seed;

  [[nodiscard]] AATGS_HOST_DEVICE bool fails(std::uint32_t one_in) const {
    return one_in != 0 && mix(seed + 1) % one_in == 0;
  }
  /// Tasks that it spawns, at `depth` generations before the last.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t children(std::uint32_t depth) const {
    const auto draw = static_cast<std::uint32_t>(mix(seed + 2) % 8);
    return depth == 0 || draw > 4 ? 0 : draw;
  }
  [[nodiscard]] AATGS_HOST_DEVICE TaskDraw child(std::uint32_t i) const {
    return {mix(seed + 16 + i)};
  }
  /// What the task adds to the sum when it runs, and what its join does.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint64_t mark() const { return mix(seed + 3); }
  [[nodiscard]] AATGS_HOST_DEVICE std::uint64_t join_mark() const { return mix(seed + 4); }
};

inline constexpr std::uint32_t task_fail_code = 77;

AATGS_HOST_DEVICE inline void add_mark(std::uint64_t* sum, std::uint64_t mark) {
  cuda::atomic_ref<std::uint64_t, cuda::thread_scope_device>(*sum).fetch_add(
      mark, cuda::memory_order_relaxed);
}

/// Ends the generations below a task.
struct JoinTask {
  struct Config {
    TaskDraw draw;
  };
  std::uint64_t* sum;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.rank() == 0) add_mark(sum, config.draw.join_mark());
  }
};

/// Adds its mark, or fails. In a wide task each part does its share of the marks.
struct FlatTask {
  static constexpr bool spawns = false;
  struct Config {
    TaskDraw draw;
    std::uint32_t depth;
    std::uint32_t fail_one_in;
  };
  std::uint64_t* sum;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.rank() != 0) return;
    if (!config.draw.fails(config.fail_one_in)) {
      add_mark(sum, config.draw.mark());
    } else if (group.part() == 0) {
      group.fail(task_fail_code);
    }
  }
};

/// The same, and spawns its children and a join behind them, if it is not wide.
struct SoakTask {
  using Config = FlatTask::Config;
  std::uint64_t* sum;
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    FlatTask{sum}(group, config);
    if (group.rank() != 0 || config.draw.fails(config.fail_one_in)) return;
    const std::uint32_t children = config.draw.children(config.depth);
    if (children == 0 || group.parts() > 1) return;
    const std::uint32_t join = group.template continue_after<JoinTask>(children, {config.draw});
    for (std::uint32_t i = 0; i < children; ++i) {
      group.template spawn<SoakTask>({config.draw.child(i), config.depth - 1, config.fail_one_in},
                                     join);
    }
  }
};

using TaskSoakSteps = Steps<SoakTask, JoinTask, FlatTask>;
using TaskSoakScheduler = TaskScheduler<TaskSoakSteps>;

/// How schedulers are made; tests put in faulty ones.
using SchedulerMaker = std::function<std::unique_ptr<TaskSoakScheduler>(const TaskSoakSteps&,
                                                                        const SchedulerOptions&)>;

std::unique_ptr<TaskSoakScheduler> make_soak_scheduler(const TaskSoakSteps& steps,
                                                       const SchedulerOptions& options);

}  // namespace aatgs::soak
