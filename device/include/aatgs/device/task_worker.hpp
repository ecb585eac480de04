// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_group.hpp>
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

/// One worker of a run: takes tasks that are ready, runs them, and releases what depends on them.
/// All threads of the worker make one and call it together.
///
/// What the first lanes know of the task at work and of the next one they keep in registers, each
/// lane the same: between two tasks of a chain the worker executes a few hundred instructions one
/// after the other, and that is most of the time it takes.
template <class S, class Group>
class TaskWorker {
 public:
  AATGS_HOST_DEVICE TaskWorker(const S& steps, const TaskWorld& world, const TaskGraphView& graph,
                               Group& group, TaskWorkerMemory& memory, TaskPiece* config,
                               void* scratch)
      : steps_(steps),
        world_(world),
        graph_(graph),
        group_(group),
        memory_(memory),
        config_(config),
        scratch_(scratch),
        dealer_(world, memory, group.block_index(), group.block_count()),
        spawner_(world, memory, dealer_, S::config_pieces) {}

  /// Deals out the graph's tasks that wait for nothing. Before the workers meet, and then `run`.
  AATGS_HOST_DEVICE void deal_roots() {
    for (std::uint32_t i = group_.rank(); i < graph_.tasks; i += group_.size()) {
      const TaskNode& node = graph_.nodes[i];
      if (node.waits == 0) dealer_.offer(node.handle, node.links.parts);
    }
    group_.sync_block();
    // Who waits is not known before the workers have met: all go to the queues.
    if (leads()) TaskDealer(world_, memory_, 0, 0).deal(group_.task_lanes(), 0);
  }

  /// Until the run ends. A task takes two syncs of the worker: its first lanes alone see to what is
  /// next and, but for tasks that many depend on, to what comes of it.
  AATGS_HOST_DEVICE void run() {
    for (;;) {
      if (leads()) take_next(group_.task_lanes());
      group_.sync_block();
      // Read here: the first lanes may be at the next task when the others come to the end of this.
      const TaskWorkerMemory::Current current = memory_.current;
      if (current.task.id == no_task) break;
      if (!current.task.is_to_cancel()) perform(current.task);
      group_.sync_block();
      if (current.edges > most_edges_of_lanes) {
        finish_by_all();
      } else if (leads()) {
        finish(group_.task_lanes());
      }
    }
    if (leads()) spawner_.return_stock(group_.task_lanes());
    if (first()) flush();
  }

 private:
  AATGS_HOST_DEVICE bool first() const { return group_.block_rank() == 0; }
  AATGS_HOST_DEVICE bool leads() const { return group_.block_rank() < group_.task_lanes().size(); }

  // ---- the next task

  template <DealingLanes L>
  AATGS_HOST_DEVICE void take_next(L lanes) {
    if (memory_.stock_is_due != 0) TaskSpawner::stock(spawner_, lanes);
    if (memory_.taken % look_up_every == 0 && look_for_end(lanes)) {
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
    task_ = next_;
    next_.id = no_task;
    links_ = {};
    if (task_.id != no_task) {
      const bool of_graph = is_of_graph(task_);
      if (of_graph) links_ = graph_.nodes[task_.id].links;
      const TaskPiece* config =
          (of_graph ? graph_.configs : world_.spawned_configs) + task_.config_at;
      const std::uint32_t pieces = task_.is_to_cancel() ? 0 : S::config_pieces_of(task_.type());
      // Loads before stores, so that they are on their way together.
      TaskPiece piece{};
      if (lanes.rank() < pieces) piece = config[lanes.rank()];
      if (lanes.rank() < links_.edges) edge_ = graph_.edges[links_.first_edge + lanes.rank()];
      if (lanes.rank() < pieces) config_[lanes.rank()] = piece;
      for (std::uint32_t i = lanes.rank() + lanes.size(); i < pieces; i += lanes.size()) {
        config_[i] = config[i];
      }
      if (lanes.rank() == 0) begin_task();
    }
    if (lanes.rank() == 0) {
      memory_.current = {task_, links_.edges};
      memory_.links = links_;
    }
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
        dealer_.end_run(TaskRunEnd::finished);
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
        if (looks % look_up_every == 0 && look_for_end(lanes)) return true;
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
    return looks % 8 == 0 && run_end() != TaskRunEnd::none ? Look::finished : Look::nothing;
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
  /// leaves others theirs (guided self-scheduling: C. Polychronopoulos, D. Kuck, IEEE ToC 1987; one
  /// at a time, an H200 runs 200 M empty tasks/s instead of 330). 0: there are none.
  template <DealingLanes L>
  AATGS_HOST_DEVICE std::uint32_t find(L lanes) const {
    for (std::uint32_t first = 0; first < graph_.classes; first += lanes.size()) {
      const std::uint32_t c = first + lanes.rank();
      const std::uint32_t ready = c < graph_.classes ? ready_tasks(world_.ready[c]) : 0;
      if (lanes.count(ready != 0).total == 0) continue;
      const std::uint32_t share = 1 + ready / (2 * group_.block_count());
      const std::uint32_t pick = c * most_at_once + (share < most_taken ? share : most_taken);
      return lanes.first_of(ready != 0, TaskHandle{.id = pick}).id;
    }
    return 0;
  }

  template <TaskLanes L>
  AATGS_HOST_DEVICE bool take_from_queue(L lanes, std::uint32_t priority, std::uint32_t wanted) {
    const std::uint32_t got = pop_many(lanes, world_.ready[priority], memory_.local, wanted,
                                       TaskPatience(world_.patience_ns), true);
    if (got == task_queue_stuck) {
      if (lanes.rank() == 0) dealer_.end_run(TaskRunEnd::stuck);
      return true;
    }
    if (got != 0 && lanes.rank() == 0) {
      for (std::uint32_t i = 0; i < got / 2; ++i) {  // the last one is run first
        const TaskHandle early = memory_.local[i];
        memory_.local[i] = memory_.local[got - 1 - i];
        memory_.local[got - 1 - i] = early;
      }
      memory_.local_count = got;
    }
    return got != 0;
  }

  // ---- the end of the run

  AATGS_HOST_DEVICE TaskRunEnd run_end() const {
    const detail::WorkerAtomic<std::uint32_t> end(world_.run->end);
    return static_cast<TaskRunEnd>(end.load(cuda::memory_order_acquire));
  }

  template <DealingLanes L>
  AATGS_HOST_DEVICE bool look_for_end(L lanes) {
    bool ended = false;
    if (lanes.rank() == 0) {
      if (group_.stop_requested()) dealer_.end_run(TaskRunEnd::stopped);
      ended = run_end() != TaskRunEnd::none;
    }
    return lanes.from_first(ended ? 1 : 0) != 0;
  }

  /// Adds this worker's counts to all workers' ones.
  AATGS_HOST_DEVICE void flush() {
    TaskCounts& all = world_.run->counts;
    move_count(memory_.spawned, all.spawned);
    move_count(memory_.refused, all.refused);
    move_count(memory_.completed, all.completed);
    move_count(memory_.failures, all.failed);
    move_count(memory_.cancelled, all.cancelled);
    for (std::uint32_t type = 0; type < S::count; ++type) {
      move_count(memory_.types[type].tasks, all.types[type].tasks);
      move_count(memory_.types[type].ns, all.types[type].ns);
    }
  }

  template <class Count>
  AATGS_HOST_DEVICE static void move_count(Count& from, std::uint64_t& to) {
    if (from == 0) return;
    detail::WorkerAtomic<std::uint64_t>(to).fetch_add(from, cuda::memory_order_relaxed);
    from = 0;
  }

  // ---- a task

  AATGS_HOST_DEVICE static bool is_of_graph(const TaskHandle& task) {
    return task.id < first_spawned;
  }

  AATGS_HOST_DEVICE void begin_task() {
    memory_.failed = 0;
    memory_.later = no_task;
    const std::uint64_t now = worker_now_ns();
    memory_.started_ns = now;
    if (!is_of_graph(task_) || task_.part() != 0) return;
    TaskOutcome& outcome = graph_.outcomes[task_.id];
    outcome.worker = group_.block_index();
    outcome.started_ns = now;
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(TaskStatus::running));
  }

  AATGS_HOST_DEVICE void perform(const TaskHandle& task) {
    TaskGroup<S, Group> group(group_, memory_, spawner_, scratch_);
    steps_.visit(task.type(), [&](const auto& step) {
      using Step = std::decay_t<decltype(step)>;
      const auto& config = *reinterpret_cast<const typename Step::Config*>(config_);
      if constexpr (HasResult<Step>) {
        TaskPiece* result = is_of_graph(task) ? graph_.results + memory_.links.result_at : nullptr;
        step(group, config, *reinterpret_cast<typename Step::Result*>(result));
      } else {
        step(group, config);
      }
    });
  }

  /// The graph's task whose dependents are to be released, or `no_task`, and how it has ended.
  struct Ending {
    std::uint32_t id = no_task;
    TaskStatus status = TaskStatus::completed;

    AATGS_HOST_DEVICE std::uint64_t packed() const {
      return std::uint64_t{static_cast<std::uint32_t>(status)} << 32 | id;
    }
    AATGS_HOST_DEVICE static Ending unpacked(std::uint64_t word) {
      return {static_cast<std::uint32_t>(word), static_cast<TaskStatus>(word >> 32)};
    }
    AATGS_HOST_DEVICE bool cancels() const { return status != TaskStatus::completed; }
  };

  /// What comes of the task that has run, or was to be cancelled.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void finish(L lanes) {
    Ending ending;
    if (lanes.rank() == 0) ending = settle();
    // While dependents are released; but of a task in a chain the worker does the next one itself.
    const bool ahead = links_.edges > 1;
    const std::uint32_t waiters = ahead ? dealer_.see_waiters(lanes) : 0;
    ending = Ending::unpacked(lanes.from_first(ending.packed()));
    if (ending.id == task_.id) {
      release_near(lanes, ending);
    } else if (ending.id != no_task) {
      release_all(lanes, ending, graph_.nodes[ending.id].links);
    }
    if (dealer_.has_some()) dealer_.deal(lanes, ahead ? waiters : dealer_.see_waiters(lanes));
    if (lanes.rank() == 0) note_end(ending);
  }

  /// The same by all threads, for a task that many depend on.
  AATGS_HOST_DEVICE void finish_by_all() {
    if (first()) memory_.ending = settle().packed();
    group_.sync_block();
    const Ending ending = Ending::unpacked(memory_.ending);
    if (ending.id != no_task) {
      const TaskLinks links = graph_.nodes[ending.id].links;
      std::uint32_t had = 0;
      if (leads()) had = memory_.local_count;
      for (std::uint32_t at = 0; at < links.edges;) {
        const TaskEdge* edges = graph_.edges + links.first_edge + at;
        const std::uint32_t run = edges->run;
        if (run > most_edges_of_lanes) {
          release_run(ending, edges, run);
          at += run;
          continue;
        }
        if (leads()) {
          release_some(group_.task_lanes(), ending, edges, links.edges - at,
                       memory_.local_count == had);
        }
        at += most_edges_of_lanes;
      }
    }
    if (leads()) {
      dealer_.deal(group_.task_lanes(), dealer_.see_waiters(group_.task_lanes()));
      if (first()) note_end(ending);
    }
  }

  AATGS_HOST_DEVICE Ending settle() {
    const std::uint64_t now = worker_now_ns();
    memory_.ended_ns = now;
    ++memory_.taken;
    const bool of_graph = is_of_graph(task_);
    if (task_.is_to_cancel()) {
      if (of_graph) return end_of_graph(task_.id, TaskStatus::cancelled);
      memory_.code = spawner_.code_of(task_.id);
      return end_spawned(TaskStatus::cancelled);
    }
    TaskTypeTime& type = memory_.types[task_.type()];
    type = {type.tasks + 1, type.ns + now - memory_.started_ns};
    bool failed = memory_.failed != 0;
    if (of_graph && memory_.links.parts != 1 && !is_last_part(failed)) return {};
    const TaskStatus status = failed ? TaskStatus::failed : TaskStatus::completed;
    const std::uint32_t later = memory_.later;
    Ending ending;
    if (!of_graph) {
      ending = end_spawned(status);
    } else if (later == no_task) {
      ending = end_of_graph(task_.id, status);
    }
    if (later != no_task) spawner_.release(later, failed, memory_.code);
    return ending;
  }

  /// `failed`: of this part; then, if it is the last one, of any.
  AATGS_HOST_DEVICE bool is_last_part(bool& failed) {
    const std::uint32_t id = task_.id;
    constexpr std::uint32_t failed_bit = 1U << 31;
    const detail::WorkerAtomic<std::uint32_t> open(graph_.cells[id].parts_open);
    if (failed) {
      store_shared(&graph_.outcomes[id].code, memory_.code);
      open.fetch_or(failed_bit, cuda::memory_order_relaxed);
    }
    const std::uint32_t before = open.fetch_sub(1, cuda::memory_order_acq_rel);
    if ((before & ~failed_bit) != 1) return false;
    failed = (before & failed_bit) != 0;
    if (failed) memory_.code = load_shared(&graph_.outcomes[id].code);
    return true;
  }

  AATGS_HOST_DEVICE Ending end_of_graph(std::uint32_t id, TaskStatus status) {
    count(status);
    if (status == TaskStatus::failed) {
      std::uint32_t none = no_task;
      detail::WorkerAtomic<std::uint32_t>(world_.run->first_failed)
          .compare_exchange_strong(none, id, cuda::memory_order_relaxed);
    }
    return {id, status};
  }

  /// Writes down the end of the graph's task that has ended, if one has. After its dependents are
  /// released, which would have to wait for these stores. One thread.
  AATGS_HOST_DEVICE void note_end(const Ending& ending) {
    if (ending.id == no_task) return;
    TaskOutcome& outcome = graph_.outcomes[ending.id];
    store_shared(&outcome.code, ending.status == TaskStatus::failed ? memory_.code : 0);
    store_shared(&outcome.finished_ns, memory_.ended_ns);
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(ending.status));
  }

  AATGS_HOST_DEVICE Ending end_spawned(TaskStatus status) {
    count(status);
    const bool well = status == TaskStatus::completed;
    const std::uint32_t stands_for = spawner_.end(task_.id, !well, memory_.code);
    if (stands_for == no_task) return {};
    return end_of_graph(stands_for, well ? TaskStatus::completed : TaskStatus::failed);
  }

  AATGS_HOST_DEVICE void count(TaskStatus status) {
    if (status == TaskStatus::completed) {
      memory_.completed += 1;
    } else {
      memory_.failures += status == TaskStatus::failed ? 1 : 0;
      memory_.cancelled += status == TaskStatus::cancelled ? 1 : 0;
    }
  }

  // ---- what depends on a task

  /// The edges of the task at work, of which `fetch` has brought the first ones. If they make one
  /// task ready, and nothing else is, it is the next.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void release_near(L lanes, const Ending& ending) {
    if (links_.edges == 0) return;
    if (links_.edges > lanes.size()) return release_all(lanes, ending, links_);
    TaskHandle target{};
    const bool ready = lanes.rank() < links_.edges && release(ending, edge_, target);
    const LaneCount count = lanes.count(ready);
    if (count.total == 0) return;
    const bool is_wide = ready && edge_.parts > 1;
    if (count.total == 1 && memory_.given_count == 0 && lanes.count(is_wide).total == 0) {
      next_ = lanes.first_of(ready, target);
      return;
    }
    if (ready) dealer_.offer(target, edge_.parts);
    lanes.from_first(0);
  }

  template <DealingLanes L>
  AATGS_HOST_DEVICE void release_all(L lanes, Ending ending, TaskLinks links) {
    const std::uint32_t had = memory_.local_count;
    for (std::uint32_t at = 0; at < links.edges; at += most_edges_of_lanes) {
      release_some(lanes, ending, graph_.edges + links.first_edge + at, links.edges - at,
                   memory_.local_count == had);
    }
  }

  /// As many of the edges as are dealt at once. `keep`: see `TaskDealer::deal`.
  template <DealingLanes L>
  AATGS_HOST_DEVICE void release_some(L lanes, const Ending& ending, const TaskEdge* edges,
                                      std::uint32_t left, bool keep) const {
    const std::uint32_t count = left < most_edges_of_lanes ? left : most_edges_of_lanes;
    for (std::uint32_t i = lanes.rank(); i < count; i += lanes.size()) {
      const TaskEdge edge = edges[i];
      TaskHandle target;
      if (release(ending, edge, target)) dealer_.offer(target, edge.parts);
    }
    lanes.from_first(0);
    dealer_.deal(lanes, dealer_.see_waiters(lanes), keep);
  }

  /// Whether it makes the task at the edge's end ready.
  AATGS_HOST_DEVICE bool release(const Ending& ending, const TaskEdge& edge,
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
  AATGS_HOST_DEVICE void release_run(const Ending& ending, const TaskEdge* edges,
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
    if (leads()) {
      const auto lanes = group_.task_lanes();
      handed = dealer_.hand_out_some(lanes, dealer_.see_waiters(lanes), pieces, piece_at);
    }
    handed = group_.broadcast_block(handed);
    if (handed == pieces) return;
    dealer_.push(WorkerTaskLanes<Group>(group_), priority, pieces - handed,
                 [&piece_at, handed](std::uint32_t i) { return piece_at(handed + i); });
    if (leads()) dealer_.wake(group_.task_lanes(), pieces - handed);
  }

  /// Edges that the first lanes release at once, and for more of which all threads are called.
  static constexpr std::uint32_t most_edges_of_lanes = TaskWorkerMemory::most_given;
  static constexpr std::uint32_t look_up_every = 64;
  static constexpr std::uint32_t most_taken = TaskWorkerMemory::most_local / 2;
  static constexpr std::uint32_t most_at_once = 256;  // above `most_taken`

  const S& steps_;
  const TaskWorld& world_;
  const TaskGraphView& graph_;
  Group& group_;
  TaskWorkerMemory& memory_;
  TaskPiece* config_;
  void* scratch_;
  TaskDealer dealer_;
  TaskSpawner spawner_;
  TaskHandle task_;  ///< at work; of the first lanes, each the same, as the next two
  TaskLinks links_;
  TaskHandle next_;  ///< or `no_task`: those in `memory_` come first
  TaskEdge edge_;    ///< of each of the first lanes: one of the task at work
};

}  // namespace aatgs
