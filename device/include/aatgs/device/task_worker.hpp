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
        dealer_(world, memory),
        spawner_(world, memory, S::config_pieces) {}

  /// Deals out the graph's tasks that wait for nothing. Before the workers meet, and then `run`.
  AATGS_HOST_DEVICE void deal_roots() {
    for (std::uint32_t i = group_.rank(); i < graph_.tasks; i += group_.size()) {
      const TaskNode& node = graph_.nodes[i];
      if (node.waits == 0) dealer_.offer(node.handle, node.parts);
    }
    group_.sync_block();
    if (leads()) dealer_.deal(group_.task_lanes());
  }

  /// Until the run ends. A task takes two syncs of the worker: its first lanes alone see to what is
  /// next and, but for tasks that many depend on, to what comes of it.
  AATGS_HOST_DEVICE void run() {
    for (;;) {
      if (leads()) take_next(group_.task_lanes());
      group_.sync_block();
      const TaskHandle task = memory_.current;
      if (task.id == no_task) break;
      // Read here: the first lanes may be at the next task when the others come to the end of this.
      const bool fans_out = is_of_graph(task) && memory_.node.edges > most_edges_of_lanes;
      if (task.part != TaskHandle::cancelled) perform(task);
      group_.sync_block();
      if (fans_out) {
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

  template <TaskLanes L>
  AATGS_HOST_DEVICE void take_next(L lanes) {
    // One exchange among the lanes tells whether there is anything to do but to take the next one.
    std::uint32_t chores = 0;
    if (lanes.rank() == 0) {
      if (spawner_.wants_stock()) chores |= chore_stock;
      if (++taken_ % look_up_every == 0) chores |= chore_look_up;
      if (memory_.local_count == 0) chores |= chore_refill;
    }
    chores = static_cast<std::uint32_t>(lanes.from_first(chores));
    if ((chores & chore_stock) != 0) spawner_.stock(lanes);
    if ((chores & chore_look_up) != 0) look_for_end(lanes);
    if ((chores & chore_refill) != 0) refill(lanes);
    if (lanes.rank() == 0) {
      TaskHandle next;
      const bool stops = (chores & chore_look_up) != 0 && run_end() != TaskRunEnd::none;
      if (memory_.local_count != 0 && !stops) next = memory_.local[--memory_.local_count];
      memory_.current = next;
    }
    lanes.from_first(0);
    fetch(lanes);
  }

  /// Brings all that is needed of the next task near, its dependents as well.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void fetch(L lanes) {
    const TaskHandle task = memory_.current;
    if (task.id == no_task) return;
    const bool of_graph = is_of_graph(task);
    // Loads before stores, so that they are on their way together.
    TaskNode node;
    if (of_graph) node = graph_.nodes[task.id];
    const TaskPiece* config = (of_graph ? graph_.configs : world_.spawned_configs) + task.config_at;
    const bool runs = task.part != TaskHandle::cancelled;
    const std::uint32_t pieces = runs ? S::config_pieces_of(task.type) : 0;
    TaskPiece piece{};
    if (lanes.rank() < pieces) piece = config[lanes.rank()];
    if (lanes.rank() < node.edges) edge_ = graph_.edges[node.first_edge + lanes.rank()];
    if (lanes.rank() < pieces) config_[lanes.rank()] = piece;
    for (std::uint32_t i = lanes.rank() + lanes.size(); i < pieces; i += lanes.size()) {
      config_[i] = config[i];
    }
    if (lanes.rank() == 0) memory_.node = node;
    if (lanes.rank() == 0) begin_task(task);
  }

  /// Waits for tasks in the queues, or the end.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void refill(L lanes) {
    bool idle = false;
    for (std::uint32_t looks = 1;; ++looks) {
      const auto pick =
          static_cast<std::uint32_t>(lanes.from_first(lanes.rank() == 0 ? find() : 0));
      if (pick != 0) {
        if (idle && lanes.rank() == 0) leave_idle(world_.run->idle);
        idle = false;
        if (take_from_queue(lanes, pick / most_at_once, pick % most_at_once)) return;
        continue;
      }
      if (!idle) {
        idle = true;
        if (lanes.rank() == 0) {
          flush();
          if (become_idle(world_.run->idle, group_.block_count())) {
            dealer_.end_run(TaskRunEnd::finished);
          }
        }
      }
      if (looks % look_up_every == 0) look_for_end(lanes);
      if (lanes.from_first(run_end() != TaskRunEnd::none ? 1 : 0) != 0) return;
      KeepWaiting{}();
    }
  }

  /// Queue and number of the tasks to take: the first class that has some, and a share of them that
  /// leaves others theirs (guided self-scheduling: C. Polychronopoulos, D. Kuck, IEEE ToC 1987). 0:
  /// there are none.
  AATGS_HOST_DEVICE std::uint32_t find() const {
    std::uint32_t ready[task_priorities];  // all loads on their way at once
    for (std::uint32_t c = 0; c < task_priorities; ++c) {
      ready[c] = c < graph_.classes ? ready_tasks(world_.ready[c]) : 0;
    }
    const std::uint32_t workers = group_.block_count();
    for (std::uint32_t c = 0; c < task_priorities; ++c) {
      if (ready[c] == 0) continue;
      const std::uint32_t share = 1 + ready[c] / (2 * workers);
      return c * most_at_once + (share < most_taken ? share : most_taken);
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

  template <TaskLanes L>
  AATGS_HOST_DEVICE void look_for_end(L lanes) {
    if (lanes.rank() == 0 && group_.stop_requested()) dealer_.end_run(TaskRunEnd::stopped);
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

  AATGS_HOST_DEVICE void begin_task(const TaskHandle& task) {
    memory_.failed = 0;
    memory_.later = no_task;
    memory_.ending = no_task;
    started_ns_ = worker_now_ns();
    if (!is_of_graph(task) || task.part != 0) return;
    TaskOutcome& outcome = graph_.outcomes[task.id];
    outcome.worker = group_.block_index();
    outcome.started_ns = started_ns_;
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(TaskStatus::running));
  }

  AATGS_HOST_DEVICE void perform(const TaskHandle& task) {
    const bool of_graph = is_of_graph(task);
    TaskGroup<S, Group> group(group_, memory_, spawner_, scratch_,
                              of_graph ? memory_.node.parts : 1);
    TaskPiece* result = of_graph ? graph_.results + memory_.node.result_at : nullptr;
    steps_.visit(task.type, [&](const auto& step) {
      using Step = std::decay_t<decltype(step)>;
      const auto& config = *reinterpret_cast<const typename Step::Config*>(config_);
      if constexpr (HasResult<Step>) {
        step(group, config, *reinterpret_cast<typename Step::Result*>(result));
      } else {
        step(group, config);
      }
    });
  }

  /// What comes of the task that has run, or was to be cancelled.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void finish(L lanes) {
    if (lanes.rank() == 0) settle();
    lanes.from_first(0);
    const std::uint32_t id = memory_.ending;
    if (id != no_task) {
      const bool is_current = id == memory_.current.id;
      const TaskNode node = is_current ? memory_.node : graph_.nodes[id];
      for (std::uint32_t at = 0; at < node.edges; at += most_edges_of_lanes) {
        release_some(lanes, node, at, is_current && at == 0);
        if (at + most_edges_of_lanes < node.edges) dealer_.deal(lanes);
      }
    }
    if (lanes.rank() == 0) note_end();
    dealer_.deal(lanes);
  }

  /// The same by all threads, for a task that many depend on.
  AATGS_HOST_DEVICE void finish_by_all() {
    if (first()) settle();
    group_.sync_block();
    const std::uint32_t id = memory_.ending;
    group_.sync_block();
    if (id != no_task) {
      const TaskNode node = graph_.nodes[id];
      for (std::uint32_t at = 0; at < node.edges;) {
        const std::uint32_t run = graph_.edges[node.first_edge + at].run;
        if (run > most_edges_of_lanes) {
          release_run(id, graph_.edges + node.first_edge + at, run);
          at += run;
          continue;
        }
        if (leads()) {
          release_some(group_.task_lanes(), node, at, false);
          dealer_.deal(group_.task_lanes());
        }
        at += most_edges_of_lanes;
      }
    }
    if (leads()) {
      if (first()) note_end();
      dealer_.deal(group_.task_lanes());
    }
  }

  AATGS_HOST_DEVICE void settle() {
    const TaskHandle task = memory_.current;
    ended_ns_ = worker_now_ns();
    if (task.part == TaskHandle::cancelled) {
      if (is_of_graph(task)) {
        end_of_graph(task.id, TaskStatus::cancelled);
      } else {
        memory_.code = spawner_.code_of(task.id);
        end_spawned(TaskStatus::cancelled);
      }
      return;
    }
    memory_.types[task.type].tasks += 1;
    memory_.types[task.type].ns += ended_ns_ - started_ns_;
    bool failed = memory_.failed != 0;
    if (is_of_graph(task) && !is_last_part(task.id, failed)) return;
    const TaskStatus status = failed ? TaskStatus::failed : TaskStatus::completed;
    if (!is_of_graph(task)) {
      end_spawned(status);
    } else if (memory_.later == no_task) {
      end_of_graph(task.id, status);
    }
    if (memory_.later != no_task) spawner_.release(memory_.later, failed, memory_.code);
  }

  /// `failed`: of this part; then, if it is the last one, of any.
  AATGS_HOST_DEVICE bool is_last_part(std::uint32_t id, bool& failed) {
    if (memory_.node.parts == 1) return true;
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

  AATGS_HOST_DEVICE void end_of_graph(std::uint32_t id, TaskStatus status) {
    count(status);
    if (status == TaskStatus::failed) {
      std::uint32_t none = no_task;
      detail::WorkerAtomic<std::uint32_t>(world_.run->first_failed)
          .compare_exchange_strong(none, id, cuda::memory_order_relaxed);
    }
    memory_.ending = id;
    memory_.ending_status = status;
  }

  /// Writes down the end of the graph's task that has ended, if one has. After its dependents are
  /// released, which would have to wait for these stores. One thread.
  AATGS_HOST_DEVICE void note_end() {
    const std::uint32_t id = memory_.ending;
    if (id == no_task) return;
    TaskOutcome& outcome = graph_.outcomes[id];
    store_shared(&outcome.code, memory_.ending_status == TaskStatus::failed ? memory_.code : 0);
    store_shared(&outcome.finished_ns, ended_ns_);
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(memory_.ending_status));
  }

  AATGS_HOST_DEVICE void end_spawned(TaskStatus status) {
    count(status);
    const bool well = status == TaskStatus::completed;
    const std::uint32_t stands_for = spawner_.end(memory_.current.id, !well, memory_.code);
    if (stands_for == no_task) return;
    end_of_graph(stands_for, well ? TaskStatus::completed : TaskStatus::failed);
  }

  AATGS_HOST_DEVICE void count(TaskStatus status) {
    memory_.completed += status == TaskStatus::completed ? 1 : 0;
    memory_.failures += status == TaskStatus::failed ? 1 : 0;
    memory_.cancelled += status == TaskStatus::cancelled ? 1 : 0;
  }

  // ---- what depends on a task

  AATGS_HOST_DEVICE bool cancels() const { return memory_.ending_status != TaskStatus::completed; }

  /// The edges from `at` on, as many as are dealt at once. `is_near`: `fetch` has brought the first
  /// ones.
  template <TaskLanes L>
  AATGS_HOST_DEVICE void release_some(L lanes, const TaskNode& node, std::uint32_t at,
                                      bool is_near) const {
    const std::uint32_t left = node.edges - at;
    const std::uint32_t count = left < most_edges_of_lanes ? left : most_edges_of_lanes;
    for (std::uint32_t i = lanes.rank(); i < count; i += lanes.size()) {
      const bool mine = is_near && i < lanes.size();
      release(mine ? edge_ : graph_.edges[node.first_edge + at + i]);
    }
  }

  AATGS_HOST_DEVICE void release(TaskEdge edge) const {
    if (cancels()) store_shared(&graph_.outcomes[edge.target.id].cause, memory_.ending);
    TaskRelease what = cancels() ? TaskRelease::cancel : TaskRelease::run;
    if (edge.run == 0) what = release_task(graph_.cells[edge.target.id].waiting, cancels());
    if (what == TaskRelease::wait) return;
    if (what == TaskRelease::cancel) edge.target.part = TaskHandle::cancelled;
    dealer_.offer(edge.target, edge.parts);
  }

  /// A run of edges, which goes to the queue as a whole. All threads.
  AATGS_HOST_DEVICE void release_run(std::uint32_t id, const TaskEdge* edges, std::uint32_t run) {
    const bool cancel = cancels();
    for (std::uint32_t i = group_.block_rank(); cancel && i < run; i += group_.block_size()) {
      store_shared(&graph_.outcomes[edges[i].target.id].cause, id);
    }
    dealer_.push(WorkerTaskLanes<Group>(group_), edges[0].target.priority, run,
                 [edges, cancel](std::uint32_t i) {
                   TaskHandle task = edges[i].target;
                   if (cancel) task.part = TaskHandle::cancelled;
                   return task;
                 });
  }

  /// Edges that the first lanes release at once, and for more of which all threads are called.
  static constexpr std::uint32_t most_edges_of_lanes = TaskWorkerMemory::most_given;
  static constexpr std::uint32_t chore_stock = 1;
  static constexpr std::uint32_t chore_look_up = 2;
  static constexpr std::uint32_t chore_refill = 4;
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
  TaskEdge edge_;                 ///< of each of the first lanes: one of the task at work
  std::uint64_t started_ns_ = 0;  ///< of the first thread, as the next
  std::uint64_t ended_ns_ = 0;
  std::uint32_t taken_ = 0;
};

}  // namespace aatgs
