// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/detail/arena.hpp>
#include <aatgs/host/task_memory.hpp>
#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <numeric>
#include <string>
#include <utility>

namespace aatgs {

using detail::Arena;

namespace {

struct QueuePlace {
  std::size_t granules, taken, state;

  static QueuePlace in(Arena& arena, std::uint32_t slots) {
    return {arena.add<Granule>(slots), arena.add<std::uint32_t>(slots),
            arena.add<TaskQueueState>(1)};
  }

  template <class Entry>
  [[nodiscard]] TaskQueue<Entry> at(void* base, std::uint32_t slots, std::int64_t& ready) const {
    static_assert(MessageBuffer<Entry>::granules == 1);
    return {Arena::at<Granule>(base, granules), Arena::at<std::uint32_t>(base, taken),
            Arena::at<TaskQueueState>(base, state), &ready, RingShape::make(slots, 1)};
  }
};

std::uint32_t slots_for(const TaskWorldMemory::Sizes& sizes) {
  const std::uint64_t slots = std::bit_ceil(std::uint64_t{sizes.most_tasks} + sizes.spawn_slots);
  if (sizes.most_tasks >= 1 && is_ring_size(sizes.spawn_slots) && slots <= max_ring_slots) {
    return static_cast<std::uint32_t>(slots);
  }
  throw OptionError(
      "most_tasks = " + std::to_string(sizes.most_tasks) +
      " and spawn_slots = " + std::to_string(sizes.spawn_slots) +
      ": give at least one task, a power of two as spawn_slots, and together at most " +
      std::to_string(max_ring_slots));
}

}  // namespace

struct TaskWorldMemory::Layout {
  Arena arena;
  QueuePlace ready[task_priorities];
  QueuePlace free_slots;
  std::size_t counts;  ///< of what each of those has
  std::size_t free_count;
  std::size_t full, waiting, boxes, run, spawned, configs;
};

TaskWorldMemory::Layout TaskWorldMemory::layout() const {
  Layout layout{};
  for (QueuePlace& place : layout.ready) place = QueuePlace::in(layout.arena, queue_slots_);
  layout.free_slots = QueuePlace::in(layout.arena, sizes_.spawn_slots);
  layout.counts = layout.arena.add<std::int64_t>(task_priorities);
  layout.free_count = layout.arena.add<std::int64_t>(1);
  layout.full = layout.arena.add<std::uint32_t>(1);
  layout.waiting = layout.arena.add<std::uint32_t>(most_task_workers / 32);
  layout.boxes = layout.arena.add<TaskBox>(most_task_workers);
  layout.run = layout.arena.add<TaskRunState>(1);
  layout.spawned = layout.arena.add<SpawnedTask>(sizes_.spawn_slots);
  layout.configs =
      layout.arena.add<TaskPiece>(std::size_t{sizes_.spawn_slots} * sizes_.config_pieces);
  return layout;
}

TaskWorldMemory::TaskWorldMemory(MemoryKind kind, const Sizes& sizes, std::uint64_t patience_ns,
                                 const TaskRules& rules, int device)
    : sizes_(sizes),
      rules_(rules),
      queue_slots_(slots_for(sizes)),
      patience_ns_(patience_ns),
      memory_(kind, layout().arena.bytes(), device) {
  prepare();
}

TaskWorld TaskWorldMemory::world_at(void* base) const {
  const Layout places = layout();
  TaskWorld world{};
  auto* const counts = Arena::at<std::int64_t>(base, places.counts);
  for (std::uint32_t i = 0; i < task_priorities; ++i) {
    world.ready[i] = places.ready[i].at<TaskHandle>(base, queue_slots_, counts[i]);
  }
  world.free_slots = places.free_slots.at<std::uint32_t>(
      base, sizes_.spawn_slots, *Arena::at<std::int64_t>(base, places.free_count));
  world.waiters = {Arena::at<std::uint32_t>(base, places.full),
                   Arena::at<std::uint32_t>(base, places.waiting),
                   Arena::at<TaskBox>(base, places.boxes)};
  world.run = Arena::at<TaskRunState>(base, places.run);
  world.spawned = Arena::at<SpawnedTask>(base, places.spawned);
  world.spawned_configs = Arena::at<TaskPiece>(base, places.configs);
  world.patience_ns = patience_ns_;
  world.rules = rules_;
  return world;
}

TaskWorld TaskWorldMemory::world() const {
  return world_at(memory_.data());
}

void TaskWorldMemory::prepare() {
  const std::size_t bytes = layout().spawned;  // what is behind has no beginning of its own
  const Memory image(MemoryKind::host, bytes);
  const TaskWorld there = world_at(image.data());
  for (const TaskQueue<TaskHandle>& queue : there.ready) queue.prepare(0);
  there.free_slots.prepare(0);
  std::vector<std::uint32_t> slots(sizes_.spawn_slots);
  std::iota(slots.begin(), slots.end(), 0U);
  push_many(SingleTaskLane{}, there.free_slots, slots.data(), sizes_.spawn_slots);
  memory_.upload(image.data(), bytes);
}

struct TaskGraphMemory::Layout {
  Arena arena;
  std::size_t nodes, edges, schedule, begins, awaited, cells, open, outcomes, configs, results;
};

TaskGraphMemory::Layout TaskGraphMemory::layout() const {
  Layout layout{};
  layout.nodes = layout.arena.add<TaskNode>(nodes_.size());
  layout.edges = layout.arena.add<TaskEdge>((has_schedule() ? 2 : 1) * edges_.size());
  layout.schedule = layout.arena.add<ScheduledTask>(schedule_.size());
  layout.begins = layout.arena.add<std::uint32_t>(begins_.size());
  layout.awaited = layout.arena.add<std::uint32_t>(schedule_.empty() ? 0 : nodes_.size());
  layout.cells = layout.arena.add<TaskCell>(nodes_.size());
  layout.open = layout.arena.add<std::uint32_t>(schedule_.empty() ? 0 : nodes_.size());
  layout.outcomes = layout.arena.add<TaskOutcome>(nodes_.size());
  layout.configs = layout.arena.add<TaskPiece>(copies_ ? staged_.size() : 0);
  layout.results = layout.arena.add<TaskPiece>(result_pieces_);
  return layout;
}

namespace {

std::vector<TaskNode> nodes_of(const TaskPlan& plan) {
  static_cast<void>(plan.order());  // there is one
  std::vector<TaskNode> nodes(plan.size());
  std::uint32_t edges = 0;
  for (TaskId id = 0; id < plan.size(); ++id) {
    const PlannedTask& task = plan.task(id);
    TaskNode& node = nodes[id];
    node.handle = TaskHandle::make(id, task.config_at, task.type, 0);
    node.links = {static_cast<std::uint16_t>(task.parts), 0, task.result_at, edges,
                  static_cast<std::uint32_t>(plan.dependents(id).size())};
    edges += node.links.edges;
    for (const TaskId dependent : plan.dependents(id)) ++nodes[dependent].waits;
  }
  return nodes;
}

std::vector<TaskEdge> edges_of(const TaskPlan& plan) {
  std::vector<TaskEdge> edges;
  for (TaskId id = 0; id < plan.size(); ++id) {
    for (const TaskId dependent : plan.dependents(id)) {
      edges.push_back({{.id = dependent}, 1, 0});
    }
  }
  return edges;
}

bool is_plain(const TaskNode& target) {
  return target.waits == 1 && target.links.parts == 1;
}

/// Brings the edges of one task into runs; see `TaskEdge::run`.
void make_runs(std::span<TaskEdge> edges, const std::vector<TaskNode>& nodes) {
  const auto rank = [&](const TaskEdge& edge) {
    const TaskNode& target = nodes[edge.target.id];
    return std::pair(!is_plain(target), target.handle.priority());
  };
  std::stable_sort(edges.begin(), edges.end(),
                   [&](const TaskEdge& a, const TaskEdge& b) { return rank(a) < rank(b); });
  std::uint16_t run = 0;
  for (std::size_t i = edges.size(); i-- > 0;) {
    const TaskNode& target = nodes[edges[i].target.id];
    const bool goes_on =
        i + 1 < edges.size() && run < 0xFFFF && rank(edges[i]) == rank(edges[i + 1]);
    run = is_plain(target) ? static_cast<std::uint16_t>((goes_on ? run : 0) + 1) : 0;
    edges[i] = {target.handle, target.links.parts, run};
  }
}

/// The worker of each task, or `many_workers` for a wide one.
constexpr std::uint32_t many_workers = ~0U;

std::vector<std::uint32_t> workers_of(const TaskSchedule& schedule,
                                      const std::vector<TaskNode>& nodes) {
  std::vector<std::uint32_t> workers(nodes.size());
  for (std::uint32_t worker = 0; worker + 1 < schedule.begins.size(); ++worker) {
    for (std::uint32_t i = schedule.begins[worker]; i < schedule.begins[worker + 1]; ++i) {
      const TaskId id = schedule.turns[i].task;
      workers[id] = nodes[id].links.parts == 1 ? worker : many_workers;
    }
  }
  return workers;
}

/// What goes from worker to worker in a schedule. On one and the same the order of turns is enough.
struct ScheduleLinks {
  std::vector<TaskLinks> of;           ///< each task
  std::vector<TaskId> behind;          ///< the only task that each waits for
  std::vector<std::uint32_t> awaited;  ///< dependencies of each
  std::vector<TaskEdge> edges;         ///< behind those of the graph

  ScheduleLinks(const TaskSchedule& schedule, const std::vector<TaskNode>& nodes,
                const std::vector<TaskEdge>& all)
      : of(nodes.size()), behind(nodes.size(), no_task), awaited(nodes.size(), 0) {
    const std::vector<std::uint32_t> workers = workers_of(schedule, nodes);
    std::map<std::vector<TaskId>, std::uint32_t> places;  // of like edges
    for (const TaskNode& node : nodes) {
      const TaskId id = node.handle.id;
      std::vector<TaskId> targets;
      of[id] = node.links;
      for (std::uint32_t i = 0; i < node.links.edges; ++i) {
        const TaskId target = all[node.links.first_edge + i].target.id;
        if (workers[id] == workers[target] && workers[id] != many_workers) continue;
        ++awaited[target];
        if (is_plain(nodes[target])) {
          behind[target] = id;
          of[id].is_awaited = 1;
        } else {
          targets.push_back(target);
        }
      }
      of[id].edges = static_cast<std::uint32_t>(targets.size());
      const auto place = static_cast<std::uint32_t>(all.size() + edges.size());
      const auto [found, is_new] = places.emplace(std::move(targets), place);
      of[id].first_edge = found->second;
      if (!is_new) continue;
      for (const TaskId target : found->first) edges.push_back({nodes[target].handle, 1, 0});
    }
  }
};

std::vector<ScheduledTask> schedule_of(std::span<const TaskSchedule::Turn> turns,
                                       const std::vector<TaskNode>& nodes,
                                       const ScheduleLinks& links) {
  std::vector<ScheduledTask> schedule;
  schedule.reserve(turns.size());
  for (const auto& [id, part] : turns) {
    schedule.push_back({links.of[id], nodes[id].handle.with_part(part), links.behind[id]});
  }
  return schedule;
}

}  // namespace

TaskGraphMemory::TaskGraphMemory(MemoryKind kind, const TaskPlan& plan,
                                 std::span<const TaskPiece> configs, std::uint32_t result_pieces,
                                 const TaskRanking& ranking, int device)
    : nodes_(nodes_of(plan)),
      edges_(edges_of(plan)),
      schedule_(ranking.schedule.turns.size()),
      begins_(ranking.schedule.begins.size()),
      result_pieces_(result_pieces),
      staged_(kind == MemoryKind::device ? MemoryKind::mapped : kind, configs.size(), device),
      copies_(kind == MemoryKind::device),
      memory_(kind, layout().arena.bytes(), device) {
  std::copy(configs.begin(), configs.end(), staged_.data());
  set_ranking(ranking);
}

void TaskGraphMemory::set_ranking(const TaskRanking& ranking) {
  const auto& priorities = ranking.priorities;
  for (TaskNode& node : nodes_) {
    node.handle = node.handle.with_priority(priorities[node.handle.id]);
  }
  classes_ = 1U + *std::max_element(priorities.begin(), priorities.end());
  for (const TaskNode& node : nodes_) {
    make_runs(std::span(edges_).subspan(node.links.first_edge, node.links.edges), nodes_);
  }
  const Layout places = layout();
  memory_.upload(nodes_.data(), nodes_.size() * sizeof(TaskNode), places.nodes);
  memory_.upload(edges_.data(), edges_.size() * sizeof(TaskEdge), places.edges);
  if (!has_schedule()) return;
  const ScheduleLinks links(ranking.schedule, nodes_, edges_);
  schedule_ = schedule_of(ranking.schedule.turns, nodes_, links);
  begins_ = ranking.schedule.begins;
  const auto upload = [this](const auto& all, std::size_t at) {
    memory_.upload(all.data(), all.size() * sizeof(all[0]), at);
  };
  upload(links.edges, places.edges + edges_.size() * sizeof(TaskEdge));
  upload(links.awaited, places.awaited);
  upload(schedule_, places.schedule);
  upload(begins_, places.begins);
}

TaskGraphView TaskGraphMemory::view(bool is_fixed) const {
  const Layout places = layout();
  void* base = memory_.data();
  return {Arena::at<TaskNode>(base, places.nodes),
          Arena::at<TaskEdge>(base, places.edges),
          Arena::at<TaskCell>(base, places.cells),
          Arena::at<TaskOutcome>(base, places.outcomes),
          copies_ ? Arena::at<TaskPiece>(base, places.configs) : staged_.data(),
          staged_.data(),
          Arena::at<TaskPiece>(base, places.results),
          Arena::at<ScheduledTask>(base, places.schedule),
          Arena::at<std::uint32_t>(base, places.begins),
          Arena::at<std::uint32_t>(base, places.awaited),
          Arena::at<std::uint32_t>(base, places.open),
          static_cast<std::uint32_t>(nodes_.size()),
          static_cast<std::uint32_t>(staged_.size()),
          classes_,
          is_fixed ? static_cast<std::uint32_t>(begins_.size() - 1) : 0};
}

std::vector<TaskOutcome> TaskGraphMemory::outcomes() const {
  std::vector<TaskOutcome> all(nodes_.size());
  memory_.download(all.data(), all.size() * sizeof(TaskOutcome), layout().outcomes);
  // Workers do not write down that a task waits for nothing any more: it follows from the others.
  std::vector<std::uint32_t> open(nodes_.size());
  for (const TaskNode& node : nodes_) open[node.handle.id] += node.waits;
  for (const TaskNode& node : nodes_) {
    if (all[node.handle.id].status != TaskStatus::completed) continue;
    for (std::uint32_t i = 0; i < node.links.edges; ++i) {
      --open[edges_[node.links.first_edge + i].target.id];
    }
  }
  for (std::size_t id = 0; id < all.size(); ++id) {
    if (all[id].status == TaskStatus::pending && open[id] == 0) all[id].status = TaskStatus::ready;
  }
  return all;
}

void TaskGraphMemory::read_result(void* into, std::size_t bytes, std::uint32_t result_at) const {
  memory_.download(into, bytes, layout().results + result_at * sizeof(TaskPiece));
}

void TaskGraphMemory::abandon() noexcept {
  staged_.abandon();
  memory_.abandon();
}

}  // namespace aatgs
