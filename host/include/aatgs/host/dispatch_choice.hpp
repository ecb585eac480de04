// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/task_plan.hpp>
#include <limits>

namespace aatgs {

/// Finds out for one graph whether tasks that become ready or a fixed schedule is faster: runs it
/// both ways by turns, then stays with the better one. Not thread-safe.
class DispatchChoice {
 public:
  /// Of each kind; the fastest one counts.
  static constexpr int trials = 3;

  /// `automatic`: to find out.
  explicit DispatchChoice(TaskDispatch wanted = TaskDispatch::dynamic) : wanted_(wanted) {}

  /// That of the next run.
  [[nodiscard]] TaskDispatch next() const {
    if (wanted_ != TaskDispatch::automatic) return wanted_;
    if (fixed_.runs < trials && fixed_.runs <= dynamic_.runs) return TaskDispatch::fixed;
    if (dynamic_.runs < trials) return TaskDispatch::dynamic;
    return fixed_.best_us < dynamic_.best_us ? TaskDispatch::fixed : TaskDispatch::dynamic;
  }

  /// A run has taken so long.
  void note(TaskDispatch dispatch, double us) {
    Trial& trial = dispatch == TaskDispatch::fixed ? fixed_ : dynamic_;
    if (trial.runs == trials) return;
    ++trial.runs;
    if (us < trial.best_us) trial.best_us = us;
  }

  /// Tasks take other times than they did.
  void start_again() { fixed_ = dynamic_ = {}; }

 private:
  struct Trial {
    int runs = 0;
    double best_us = std::numeric_limits<double>::infinity();
  };
  TaskDispatch wanted_;
  Trial fixed_;
  Trial dynamic_;
};

}  // namespace aatgs
