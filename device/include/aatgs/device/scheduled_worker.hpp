// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/ahead_copy.hpp>
#include <aatgs/device/task_at_work.hpp>
#include <cstdint>

namespace aatgs {

/// One worker of a run with a fixed schedule (static scheduling): it takes the tasks of its turns
/// in their order and waits for each by watching one word. Nobody is told that a task has become
/// ready, so that from the end of one task to the begin of another it takes two trips through the
/// L2 cache; on the same worker none, since it takes them one after the other anyway. All threads
/// of the worker make one and call it together.
///
/// No worker waits for ever: the first turn of all that has not ended depends on earlier ones only,
/// and its worker has ended its own earlier ones.
template <class S, class Group>
class ScheduledWorker {
 public:
  AATGS_HOST_DEVICE ScheduledWorker(const S& steps, const TaskWorld& world,
                                    const TaskGraphView& graph, Group& group,
                                    TaskWorkerMemory& memory, TaskPiece* config, void* scratch)
      : graph_(graph),
        group_(group),
        memory_(memory),
        work_(steps, world, graph, group, memory, config, scratch),
        next_(has_turns(graph, group) ? graph.begins[group.block_index()] : 0),
        end_(has_turns(graph, group) ? graph.begins[group.block_index() + 1] : 0) {}

  /// Until all its turns have been taken, or the run is stopped.
  AATGS_HOST_DEVICE void run() {
    if (work_.leads()) bring_turn(group_.task_lanes());
    for (;;) {
      if (work_.leads()) take_turn(group_.task_lanes());
      group_.sync_block();
      // Read here: the first lanes may be at the next task when the others come to the end of this.
      const TaskWorkerMemory::Current current = memory_.current;
      if (current.task.id == no_task) break;
      if (!current.task.is_to_cancel()) work_.perform(current.task);
      group_.sync_block();
      if (current.edges > decltype(group_.task_lanes())::size()) {
        finish_by_all(current.edges);
      } else if (work_.leads()) {
        finish(group_.task_lanes(), current.edges);
      }
    }
    if (work_.first()) work_.flush();
  }

 private:
  AATGS_HOST_DEVICE static bool has_turns(const TaskGraphView& graph, const Group& group) {
    return group.block_index() < graph.scheduled;
  }

  /// Begins to bring the next turn into the worker's scratch.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void bring_turn(L lanes) const {
    if (next_ == end_) return;
    constexpr std::uint32_t pieces = sizeof(ScheduledTask) / sizeof(TaskPiece);
    for (std::uint32_t i = lanes.rank(); i < pieces; i += lanes.size()) {
      begin_copy(reinterpret_cast<TaskPiece*>(&memory_.upcoming) + i,
                 reinterpret_cast<const TaskPiece*>(graph_.schedule + next_) + i);
    }
  }

  /// The next turn's task becomes the one at work, once what it depends on has ended; or `no_task`.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void take_turn(L lanes) {
    work_.task.id = no_task;
    const bool stops = memory_.taken % look_up_every == 0 && work_.look_for_end(lanes);
    if (!stops && next_ != end_) {
      finish_copies();
      lanes.from_first(0);
      const ScheduledTask turn = memory_.upcoming;
      lanes.from_first(0);  // all have read
      ++next_;
      work_.task = turn.handle;
      work_.links = turn.links;
      std::uint32_t& word =
          turn.behind == no_task ? graph_.cells[turn.handle.id].waiting : graph_.open[turn.behind];
      auto what = TaskRelease::wait;
      work_.bring_near(lanes, [&] {
        if (lanes.rank() == 0) what = look_and_acquire(word);
      });
      bring_turn(lanes);
      watch(lanes, word, what);
    }
    if (lanes.rank() != 0) return;
    if (work_.task.id != no_task) work_.begin();
    work_.tell_all();
  }

  /// Until the task at work is released, which this lane has looked for once, or the run is
  /// stopped.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void watch(L lanes, std::uint32_t& word, TaskRelease& what) {
    for (std::uint32_t looks = 1;; ++looks) {
      what = static_cast<TaskRelease>(lanes.from_first(static_cast<std::uint32_t>(what)));
      if (what != TaskRelease::wait) break;
      if (looks % look_up_every == 0 && work_.look_for_end(lanes)) {
        work_.task.id = no_task;
        return;
      }
      KeepWaiting{}();
      if (lanes.rank() == 0 && look_at_watched(word) != TaskRelease::wait) {
        what = look_and_acquire(word);
      }
    }
    if (what == TaskRelease::cancel) work_.task = work_.task.to_cancel();
  }

  /// What comes of the task at work, which has run or was to be cancelled: the tasks that wait for
  /// others too are released one by one, those that wait for this one alone all at once.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void finish(L lanes, std::uint32_t edges) {
    constexpr std::uint64_t holds = std::uint64_t{1} << 63;
    std::uint64_t packed = 0;
    if (lanes.rank() == 0) {
      const TaskEnding ending = work_.settle();
      packed = ending.packed() | (can_hold(ending) ? holds : 0);
    }
    packed = lanes.from_first(packed);
    const TaskEnding ending = TaskEnding::unpacked(packed & ~holds);
    if (ending.id == no_task) return;
    if ((packed & holds) != 0) {
      held_ += edges != 0 ? 1 : 0;
      if (lanes.rank() == 0) work_.note_end(ending);
      return;
    }
    if (ending.cancels()) {
      cancel_dependents(ending, lanes.rank(), lanes.size());
      lanes.from_first(0);  // before any is released
    }
    detail::order_workers();
    if (lanes.rank() < edges) release(work_.edge, held_ + 1);
    held_ = 0;
    if (lanes.rank() == 0) end(ending);
  }

  /// Whether nothing is to be released yet: the worker's next task has the same dependents, so that
  /// they wait for that one as well. (A fence costs 600 cycles of an H200, and a counter on which
  /// many meet serves one of them at a time.) One thread.
  [[nodiscard]] AATGS_HOST_DEVICE bool can_hold(const TaskEnding& ending) const {
    const TaskLinks& links = work_.links;
    if (links.is_awaited != 0 || ending.id == no_task || ending.cancels()) return false;
    if (links.edges == 0) return true;
    if (next_ == end_) return false;
    finish_copies();
    const TaskLinks& upcoming = memory_.upcoming.links;
    return upcoming.parts == 1 && upcoming.edges == links.edges &&
           upcoming.first_edge == links.first_edge;
  }

  /// The same by all threads, for a task that many depend on.
  AATGS_HOST_DEVICE void finish_by_all(std::uint32_t edges) {
    const TaskEdge* const edge = graph_.edges + memory_.links.first_edge;
    if (work_.first()) memory_.ending = work_.settle().packed();
    group_.sync_block();
    const TaskEnding ending = TaskEnding::unpacked(memory_.ending);
    if (ending.id == no_task) return;
    if (ending.cancels()) {
      cancel_dependents(ending, group_.block_rank(), group_.block_size());
      group_.sync_block();
    }
    detail::order_workers();
    for (std::uint32_t i = group_.block_rank(); i < edges; i += group_.block_size()) {
      release(edge[i], 1);
    }
    if (work_.first()) end(ending);
  }

  /// Marks all that depend on a task, on whichever worker and by whichever word. One of `count`
  /// threads, the first of which is 0.
  AATGS_HOST_DEVICE void cancel_dependents(const TaskEnding& ending, std::uint32_t thread,
                                           std::uint32_t count) const {
    if (thread == 0) cancel_watched(graph_.open[ending.id]);
    const TaskLinks& links = graph_.nodes[ending.id].links;
    for (std::uint32_t i = thread; i < links.edges; i += count) {
      const std::uint32_t id = graph_.edges[links.first_edge + i].target.id;
      store_shared(&graph_.outcomes[id].cause, ending.id);
      cancel_watched(graph_.cells[id].waiting);
    }
  }
  AATGS_HOST_DEVICE void release(const TaskEdge& edge, std::uint32_t count) const {
    release_watched(graph_.cells[edge.target.id].waiting, count);
  }
  AATGS_HOST_DEVICE void end(const TaskEnding& ending) {
    if (memory_.links.is_awaited != 0) release_watched(graph_.open[ending.id]);
    work_.note_end(ending);
  }

  static constexpr std::uint32_t look_up_every = 64;

  const TaskGraphView& graph_;
  Group& group_;
  TaskWorkerMemory& memory_;
  TaskAtWork<S, Group, false> work_;
  std::uint32_t next_;  ///< turn of this worker
  std::uint32_t end_;   ///< of its turns
  std::uint32_t held_ =
      0;  ///< tasks with the same dependents that have ended but not released them
};

}  // namespace aatgs
