// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/task_group.hpp>
#include <cstdint>

namespace aatgs {

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
    deal();
  }

  /// Until the run ends.
  AATGS_HOST_DEVICE void run() {
    for (;;) {
      if (leads()) take_next(group_.task_lanes());
      group_.sync_block();
      if (memory_.current.id == no_task) break;
      if (memory_.current.part == TaskHandle::cancelled) {
        if (first()) settle_cancelled();
      } else {
        perform();
        if (first()) settle();
      }
      group_.sync_block();
      release_dependents();
      deal();
    }
    if (leads()) spawner_.return_stock(group_.task_lanes());
    if (first()) flush();
  }

 private:
  AATGS_HOST_DEVICE bool first() const { return group_.block_rank() == 0; }
  AATGS_HOST_DEVICE bool leads() const { return group_.block_rank() < group_.task_lanes().size(); }

  AATGS_HOST_DEVICE void deal() {
    group_.sync_block();
    dealer_.deal_wide(group_.block_rank(), group_.block_size());
    group_.sync_block();
    if (leads()) dealer_.deal(group_.task_lanes());
  }

  // ---- the next task

  template <TaskLanes L>
  AATGS_HOST_DEVICE void take_next(L lanes) {
    spawner_.stock(lanes);
    const bool looks_up = lanes.from_first(++taken_ % look_up_every == 0 ? 1 : 0) != 0;
    if (looks_up) look_for_end(lanes);
    if (lanes.from_first(memory_.local_count) == 0) refill(lanes);
    if (lanes.rank() != 0) return;
    TaskHandle next;
    const bool stops = looks_up && run_end() != TaskRunEnd::none;
    if (memory_.local_count != 0 && !stops) next = memory_.local[--memory_.local_count];
    memory_.current = next;
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
      if (!idle && lanes.rank() == 0) {
        flush();
        if (become_idle(world_.run->idle, group_.block_count())) {
          dealer_.end_run(TaskRunEnd::finished);
        }
      }
      idle = true;
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
    for (std::uint32_t c = 0; c < task_priorities; ++c) ready[c] = ready_tasks(world_.ready[c]);
    for (std::uint32_t c = 0; c < task_priorities; ++c) {
      if (ready[c] == 0) continue;
      const std::uint32_t share = 1 + ready[c] / (2 * group_.block_count());
      return c * most_at_once + (share < most_taken ? share : most_taken);
    }
    return 0;
  }

  template <TaskLanes L>
  AATGS_HOST_DEVICE bool take_from_queue(L lanes, std::uint32_t priority, std::uint32_t wanted) {
    const std::uint32_t got = pop_many(lanes, world_.ready[priority], memory_.local, wanted,
                                       TaskPatience(world_.patience_ns));
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

  AATGS_HOST_DEVICE bool of_graph() const { return memory_.current.id < first_spawned; }

  AATGS_HOST_DEVICE void perform() {
    const TaskHandle task = memory_.current;
    const TaskPiece* config =
        (of_graph() ? graph_.configs : world_.spawned_configs) + task.config_at;
    std::uint32_t parts = 1;
    TaskPiece* result = nullptr;
    if (of_graph()) {
      parts = graph_.nodes[task.id].parts;
      result = graph_.results + graph_.nodes[task.id].result_at;
    }
    if (first()) begin_task(task);
    TaskGroup<S, Group> group(group_, memory_, spawner_, scratch_, parts);
    steps_.visit(task.type, [&](const auto& step) {
      using Step = std::decay_t<decltype(step)>;
      using Config = typename Step::Config;
      for (std::uint32_t i = group_.block_rank(); i < pieces_for(sizeof(Config));
           i += group_.block_size()) {
        config_[i] = config[i];
      }
      group_.sync_block();
      const Config& mine = *reinterpret_cast<const Config*>(config_);
      if constexpr (HasResult<Step>) {
        step(group, mine, *reinterpret_cast<typename Step::Result*>(result));
      } else {
        step(group, mine);
      }
    });
    group_.sync_block();
  }

  AATGS_HOST_DEVICE void begin_task(const TaskHandle& task) {
    memory_.failed = 0;
    memory_.later = no_task;
    memory_.ending = no_task;
    started_ns_ = worker_now_ns();
    if (!of_graph() || task.part != 0) return;
    TaskOutcome& outcome = graph_.outcomes[task.id];
    outcome.worker = group_.block_index();
    outcome.started_ns = started_ns_;
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(TaskStatus::running));
  }

  AATGS_HOST_DEVICE void settle() {
    const TaskHandle task = memory_.current;
    memory_.types[task.type].tasks += 1;
    memory_.types[task.type].ns += worker_now_ns() - started_ns_;
    bool failed = memory_.failed != 0;
    if (of_graph() && !is_last_part(task.id, failed)) return;
    if (memory_.later != no_task) {
      if (!of_graph()) end_spawned(failed ? TaskStatus::failed : TaskStatus::completed);
      spawner_.release(memory_.later, failed, memory_.code);
    } else if (of_graph()) {
      end_of_graph(task.id, failed ? TaskStatus::failed : TaskStatus::completed, memory_.code);
    } else {
      end_spawned(failed ? TaskStatus::failed : TaskStatus::completed);
    }
  }

  AATGS_HOST_DEVICE void settle_cancelled() {
    memory_.ending = no_task;
    if (of_graph()) {
      end_of_graph(memory_.current.id, TaskStatus::cancelled, 0);
    } else {
      memory_.code = spawner_.code_of(memory_.current.id);
      end_spawned(TaskStatus::cancelled);
    }
  }

  /// `failed`: of this part; then, if it is the last one, of any.
  AATGS_HOST_DEVICE bool is_last_part(std::uint32_t id, bool& failed) {
    if (graph_.nodes[id].parts == 1) return true;
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

  AATGS_HOST_DEVICE void end_of_graph(std::uint32_t id, TaskStatus status, std::uint32_t code) {
    count(status);
    if (status == TaskStatus::failed) {
      std::uint32_t none = no_task;
      detail::WorkerAtomic<std::uint32_t>(world_.run->first_failed)
          .compare_exchange_strong(none, id, cuda::memory_order_relaxed);
    }
    TaskOutcome& outcome = graph_.outcomes[id];
    store_shared(&outcome.code, status == TaskStatus::failed ? code : 0);
    store_shared(&outcome.finished_ns, worker_now_ns());
    store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                 static_cast<std::uint32_t>(status));
    memory_.ending = id;
    memory_.ending_status = status;
  }

  AATGS_HOST_DEVICE void end_spawned(TaskStatus status) {
    count(status);
    const bool well = status == TaskStatus::completed;
    const std::uint32_t stands_for = spawner_.end(memory_.current.id, !well, memory_.code);
    if (stands_for == no_task) return;
    end_of_graph(stands_for, well ? TaskStatus::completed : TaskStatus::failed, memory_.code);
  }

  AATGS_HOST_DEVICE void count(TaskStatus status) {
    memory_.completed += status == TaskStatus::completed ? 1 : 0;
    memory_.failures += status == TaskStatus::failed ? 1 : 0;
    memory_.cancelled += status == TaskStatus::cancelled ? 1 : 0;
  }

  AATGS_HOST_DEVICE void release_dependents() {
    const std::uint32_t id = memory_.ending;
    if (id == no_task) return;
    const bool cancels = memory_.ending_status != TaskStatus::completed;
    const TaskEdge* edges = graph_.edges + graph_.nodes[id].first_edge;
    for (std::uint32_t i = group_.block_rank(); i < graph_.nodes[id].edges;
         i += group_.block_size()) {
      TaskEdge edge = edges[i];
      TaskOutcome& outcome = graph_.outcomes[edge.target.id];
      if (cancels) store_shared(&outcome.cause, id);
      const TaskRelease what = release_task(graph_.cells[edge.target.id].waiting, cancels);
      if (what == TaskRelease::wait) continue;
      store_shared(reinterpret_cast<std::uint32_t*>(&outcome.status),
                   static_cast<std::uint32_t>(TaskStatus::ready));
      if (what == TaskRelease::cancel) edge.target.part = TaskHandle::cancelled;
      dealer_.offer(edge.target, edge.parts);
    }
  }

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
  std::uint64_t started_ns_ = 0;  ///< of the first thread
  std::uint32_t taken_ = 0;
};

}  // namespace aatgs
