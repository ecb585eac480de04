// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_at_work.hpp>
#include <cstdint>

namespace aatgs {

/// All threads of a worker as they push tasks together.
template <class Group>
class WorkerTaskLanes {
 public:
  AATGS_HOST_DEVICE explicit WorkerTaskLanes(Group& group) : group_(&group) {}
  AATGS_HOST_DEVICE std::uint32_t rank() const { return group_->block_rank(); }
  AATGS_HOST_DEVICE std::uint32_t size() const { return group_->block_size(); }
  AATGS_HOST_DEVICE bool all(bool flag) const {
    return group_->reduce_block(
               flag ? 1U : 0U, [](std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }) != 0;
  }
  AATGS_HOST_DEVICE std::uint64_t from_first(std::uint64_t value) const {
    return group_->broadcast_block(value, 0);
  }

 private:
  Group* group_;
};

/// One worker of a run with dynamic dispatch: takes tasks that are ready, runs them, and releases
/// what depends on them. All threads of the worker make one and call it together.
template <class S, class Group>
class TaskWorker {
 public:
  AATGS_HOST_DEVICE TaskWorker(const S& steps, const TaskWorld& world, const TaskGraphView& graph,
                               Group& group, TaskWorkerMemory& memory, TaskPiece* config,
                               void* scratch)
      : world_(world),
        graph_(graph),
        group_(group),
        memory_(memory),
        work_(steps, world, graph, group, memory, config, scratch) {}

  /// Deals out the graph's tasks that wait for nothing. Before the workers meet, and then `run`.
  AATGS_HOST_DEVICE void deal_roots() {
    for (std::uint32_t i = group_.rank(); i < graph_.tasks; i += group_.size()) {
      const TaskNode& node = graph_.nodes[i];
      if (node.waits == 0) work_.dealer.offer(node.handle, node.links.parts);
    }
    group_.sync_block();
    // Who waits is not known before the workers have met: all go to the queues.
    if (work_.leads()) TaskDealer(world_, memory_, 0, 0).deal(group_.task_lanes(), 0);
  }

  /// Until the run ends. A task takes two syncs of the worker: its first lanes alone see to what is
  /// next and, but for tasks that many depend on, to what comes of it.
  AATGS_HOST_DEVICE void run() {
    for (;;) {
      if (work_.leads()) take_next(group_.task_lanes());
      group_.sync_block();
      // Read here: the first lanes may be at the next task when the others come to the end of this.
      const TaskWorkerMemory::Current current = memory_.current;
      if (current.task.id == no_task) break;
      if (!current.task.is_to_cancel()) work_.perform(current.task);
      group_.sync_block();
      if (current.edges > most_edges_of_lanes) {
        finish_by_all();
      } else if (work_.leads()) {
        finish(group_.task_lanes());
      }
    }
    if (work_.leads()) work_.spawner.return_stock(group_.task_lanes());
    if (work_.first()) work_.flush();
  }

 private:
  // ---- the next task

  template <DealingLanes L>
  AATGS_HOST_DEVICE void take_next(L lanes) {
    if (memory_.stock_is_due != 0) TaskSpawner::stock(work_.spawner, lanes);
    if (memory_.taken % look_up_every == 0 && work_.look_for_end(lanes)) {
      next_.id = no_task;
    } else if (next_.id == no_task) {
      find_next(lanes);
    }
    fetch(lanes);
  }

  /// From those that the worker keeps, or has waited for.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void find_next(L lanes) {
    if (memory_.local_count == 0) refill(lanes);
    lanes.from_first(0);
    const std::uint32_t count = memory_.local_count;
    if (count == 0) return;
    next_ = memory_.local[count - 1];
    lanes.from_first(0);  // all have read
    if (next_.is_run()) {
      open_run(lanes, next_, count - 1);
    } else if (lanes.rank() == 0) {
      memory_.local_count = count - 1;
    }
  }

  /// A run of edges becomes their tasks: the first is next, the others are kept behind the `kept`
  /// ones that the worker has.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void open_run(L lanes, const TaskHandle& run, std::uint32_t kept) {
    const std::uint32_t count = run.run_length();
    for (std::uint32_t i = lanes.rank(); i < count; i += lanes.size()) {
      const TaskHandle task = graph_.edges[run.id + count - 1 - i].target;
      memory_.local[kept + i] = run.is_to_cancel() ? task.to_cancel() : task;
    }
    lanes.from_first(0);
    next_ = memory_.local[kept + count - 1];
    lanes.from_first(0);  // all have read
    if (lanes.rank() == 0) memory_.local_count = kept + count - 1;
  }

  /// Brings all that is needed of the next task near, its dependents as well.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void fetch(L lanes) {
    work_.task = next_;
    next_.id = no_task;
    work_.links = {};
    if (work_.task.id != no_task) {
      if (work_.is_of_graph(work_.task)) work_.links = graph_.nodes[work_.task.id].links;
      work_.bring_near(lanes, [] {});
      if (lanes.rank() == 0) work_.begin();
    }
    if (lanes.rank() == 0) work_.tell_all();
  }

  /// Gets tasks from the queues or from another worker, or the end.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void refill(L lanes) {
    for (;;) {
      const std::uint32_t pick = find(lanes);
      if (pick != 0) {
        if (take_from_queue(lanes, pick / most_at_once, pick % most_at_once)) return;
        continue;
      }
      if (lanes.rank() == 0 &&
          begin_waiting(world_.waiters, group_.block_index(), group_.block_count())) {
        work_.dealer.end_run(TaskRunEnd::finished);
      }
      if (wait(lanes)) return;
    }
  }

  /// False: tasks have come into the queues.
  template <DealingLanes L>
  AATGS_HOST_DEVICE bool wait(L lanes) {
    for (std::uint32_t looks = 1;; ++looks) {
      Look found = Look::nothing;
      if (lanes.rank() == 0) found = look(looks);
      found = static_cast<Look>(lanes.from_first(static_cast<std::uint32_t>(found)));
      // Who pushes tells those who wait, but may miss one who is about to.
      if (found == Look::nothing && looks % 8 == 1 && find(lanes) != 0) found = go(lanes);
      if (found == Look::nothing) {
        if (looks % look_up_every == 0 && work_.look_for_end(lanes)) return true;
        KeepWaiting{}();
        continue;
      }
      detail::order_workers();
      return found == Look::finished;
    }
  }

  enum class Look : std::uint32_t { nothing, finished, queues };

  /// At the worker's own box each time; now and then at the end of the run. One thread.
  AATGS_HOST_DEVICE Look look(std::uint32_t looks) {
    TaskHandle task;
    if (look_in_box(world_.waiters.boxes[group_.block_index()], task)) {
      if (task.is_hint()) return Look::queues;
      memory_.local[0] = task;
      memory_.local_count = 1;
      return Look::finished;
    }
    return looks % 8 == 0 && work_.run_end() != TaskRunEnd::none ? Look::finished : Look::nothing;
  }

  /// To the queues, where there are tasks; unless it has been chosen meanwhile: then its task will
  /// be in the box.
  template <DealingLanes L>
  AATGS_HOST_DEVICE Look go(L lanes) const {
    bool goes = false;
    if (lanes.rank() == 0) {
      goes = stop_waiting(world_.waiters, group_.block_index(), group_.block_count());
    }
    return lanes.from_first(goes ? 1 : 0) != 0 ? Look::queues : Look::nothing;
  }

  /// Queue and number of the tasks to take: the first class that has some, and a share of them that
  /// leaves others theirs; see `TaskRules::most_claimed`. 0: there are none.
  template <DealingLanes L>
  AATGS_HOST_DEVICE std::uint32_t find(L lanes) const {
    for (std::uint32_t first = 0; first < graph_.classes; first += lanes.size()) {
      const std::uint32_t c = first + lanes.rank();
      const std::uint32_t ready = c < graph_.classes ? ready_tasks(world_.ready[c]) : 0;
      if (lanes.count(ready != 0).total == 0) continue;
      const std::uint32_t share = 1 + ready / (2 * group_.block_count());
      const std::uint32_t most = world_.rules.most_claimed;
      const std::uint32_t pick = c * most_at_once + (share < most ? share : most);
      return lanes.first_of(ready != 0, TaskHandle{.id = pick}).id;
    }
    return 0;
  }

  template <TaskLanes L>
  AATGS_HOST_DEVICE bool take_from_queue(L lanes, std::uint32_t priority, std::uint32_t wanted) {
    const std::uint32_t got = pop_many(lanes, world_.ready[priority], memory_.local, wanted,
                                       TaskPatience(world_.patience_ns), true);
    if (got == task_queue_stuck) {
      if (lanes.rank() == 0) work_.dealer.end_run(TaskRunEnd::stuck);
      return true;
    }
    if (got != 0 && lanes.rank() == 0) {
      ++memory_.claims;
      memory_.claimed += got;
      for (std::uint32_t i = 0; i < got / 2; ++i) {  // the last one is run first
        const TaskHandle early = memory_.local[i];
        memory_.local[i] = memory_.local[got - 1 - i];
        memory_.local[got - 1 - i] = early;
      }
      memory_.local_count = got;
    }
    return got != 0;
  }

  /// What comes of the task that has run, or was to be cancelled.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void finish(L lanes) {
    TaskEnding ending;
    if (lanes.rank() == 0) ending = work_.settle();
    // While dependents are released; but of a task in a chain the worker does the next one itself.
    const bool ahead = work_.links.edges > 1;
    const std::uint32_t waiters = ahead ? work_.dealer.see_waiters(lanes) : 0;
    ending = TaskEnding::unpacked(lanes.from_first(ending.packed()));
    if (ending.id == work_.task.id) {
      release_near(lanes, ending);
    } else if (ending.id != no_task) {
      release_all(lanes, ending, graph_.nodes[ending.id].links);
    }
    if (work_.dealer.has_some())
      work_.dealer.deal(lanes, ahead ? waiters : work_.dealer.see_waiters(lanes));
    if (lanes.rank() == 0) work_.note_end(ending);
  }

  /// The same by all threads, for a task that many depend on.
  AATGS_HOST_DEVICE void finish_by_all() {
    if (work_.first()) memory_.ending = work_.settle().packed();
    group_.sync_block();
    const TaskEnding ending = TaskEnding::unpacked(memory_.ending);
    if (ending.id != no_task) {
      const TaskLinks links = graph_.nodes[ending.id].links;
      std::uint32_t had = 0;
      if (work_.leads()) had = memory_.local_count;
      for (std::uint32_t at = 0; at < links.edges;) {
        const TaskEdge* edges = graph_.edges + links.first_edge + at;
        const std::uint32_t run = edges->run;
        if (run > most_edges_of_lanes) {
          release_run(ending, edges, run);
          at += run;
          continue;
        }
        if (work_.leads()) {
          release_some(group_.task_lanes(), ending, edges, links.edges - at,
                       memory_.local_count == had);
        }
        at += most_edges_of_lanes;
      }
    }
    if (work_.leads()) {
      work_.dealer.deal(group_.task_lanes(), work_.dealer.see_waiters(group_.task_lanes()));
      if (work_.first()) work_.note_end(ending);
    }
  }

  // ---- what depends on a task

  /// The edges of the task at work, of which `fetch` has brought the first ones. If they make one
  /// task ready, and nothing else is, it is the next.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void release_near(L lanes, const TaskEnding& ending) {
    if (work_.links.edges == 0) return;
    if (work_.links.edges > lanes.size()) return release_all(lanes, ending, work_.links);
    TaskHandle target{};
    const bool ready = lanes.rank() < work_.links.edges && release(ending, work_.edge, target);
    const LaneCount count = lanes.count(ready);
    if (count.total == 0) return;
    const bool is_wide = ready && work_.edge.parts > 1;
    if (count.total == 1 && world_.rules.keep && memory_.given_count == 0 &&
        lanes.count(is_wide).total == 0) {
      next_ = lanes.first_of(ready, target);
      return;
    }
    if (ready) work_.dealer.offer(target, work_.edge.parts);
    lanes.from_first(0);
  }

  template <DealingLanes L>
  AATGS_HOST_DEVICE void release_all(L lanes, TaskEnding ending, TaskLinks links) {
    const std::uint32_t had = memory_.local_count;
    for (std::uint32_t at = 0; at < links.edges; at += most_edges_of_lanes) {
      release_some(lanes, ending, graph_.edges + links.first_edge + at, links.edges - at,
                   memory_.local_count == had);
    }
  }

  /// As many of the edges as are dealt at once. `keep`: see `TaskDealer::deal`.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void release_some(L lanes, const TaskEnding& ending, const TaskEdge* edges,
                                      std::uint32_t left, bool keep) const {
    const std::uint32_t count = left < most_edges_of_lanes ? left : most_edges_of_lanes;
    for (std::uint32_t i = lanes.rank(); i < count; i += lanes.size()) {
      const TaskEdge edge = edges[i];
      TaskHandle target;
      if (release(ending, edge, target)) work_.dealer.offer(target, edge.parts);
    }
    lanes.from_first(0);
    work_.dealer.deal(lanes, work_.dealer.see_waiters(lanes), keep);
  }

  /// Whether it makes the task at the edge's end ready.
  AATGS_HOST_DEVICE bool release(const TaskEnding& ending, const TaskEdge& edge,
                                 TaskHandle& target) const {
    const bool cancels = ending.cancels();
    target = edge.target;
    if (cancels) store_shared(&graph_.outcomes[target.id].cause, ending.id);
    TaskRelease what = cancels ? TaskRelease::cancel : TaskRelease::run;
    if (edge.run == 0) what = release_task(graph_.cells[target.id].waiting, cancels);
    if (what == TaskRelease::cancel) target = target.to_cancel();
    return what != TaskRelease::wait;
  }

  /// A run of edges, which is passed on as a whole. All threads.
  AATGS_HOST_DEVICE void release_run(const TaskEnding& ending, const TaskEdge* edges,
                                     std::uint32_t run) {
    const bool cancel = ending.cancels();
    for (std::uint32_t i = group_.block_rank(); cancel && i < run; i += group_.block_size()) {
      store_shared(&graph_.outcomes[edges[i].target.id].cause, ending.id);
    }
    if (cancel) group_.sync_block();
    // In pieces: few entries to hand out and to take, small enough that no worker has long to do
    // with its last one while others wait.
    const std::uint32_t workers = group_.block_count();
    const std::uint32_t even = (run + workers - 1) / workers;
    const std::uint32_t each = even < most_taken ? even : most_taken;
    const std::uint32_t pieces = (run + each - 1) / each;
    const auto first = static_cast<std::uint32_t>(edges - graph_.edges);
    const std::uint32_t priority = edges[0].target.priority();
    const auto piece_at = [=](std::uint32_t i) {
      const std::uint32_t left = run - i * each;
      const TaskHandle piece =
          TaskHandle::make_run(first + i * each, left < each ? left : each, priority);
      return cancel ? piece.to_cancel() : piece;
    };
    std::uint32_t handed = 0;
    if (work_.leads()) {
      const auto lanes = group_.task_lanes();
      handed = work_.dealer.hand_out_some(lanes, work_.dealer.see_waiters(lanes), pieces, piece_at);
    }
    handed = group_.broadcast_block(handed);
    if (handed == pieces) return;
    work_.dealer.push(WorkerTaskLanes<Group>(group_), priority, pieces - handed,
                      [&piece_at, handed](std::uint32_t i) { return piece_at(handed + i); });
    if (work_.leads()) work_.dealer.wake(group_.task_lanes(), pieces - handed);
  }

  /// Edges that the first lanes release at once, and for more of which all threads are called.
  static constexpr std::uint32_t most_edges_of_lanes = TaskWorkerMemory::most_given;
  static constexpr std::uint32_t look_up_every = 64;
  static constexpr std::uint32_t most_taken = TaskWorkerMemory::most_claimed;
  static constexpr std::uint32_t most_at_once = 256;  // above `most_taken`

  const TaskWorld& world_;
  const TaskGraphView& graph_;
  Group& group_;
  TaskWorkerMemory& memory_;
  TaskAtWork<S, Group, true> work_;
  TaskHandle next_;  ///< or `no_task`: those in `memory_` come first; of each lane the same
};

}  // namespace aatgs
