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
  std::size_t nodes, edges, schedule, begins, cells, open, outcomes, configs, results;
};

TaskGraphMemory::Layout TaskGraphMemory::layout() const {
  Layout layout{};
  layout.nodes = layout.arena.add<TaskNode>(nodes_.size());
  layout.edges = layout.arena.add<TaskEdge>(edges_.size());
  layout.schedule = layout.arena.add<ScheduledTask>(schedule_.size());
  layout.begins = layout.arena.add<std::uint32_t>(begins_.size());
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

/// The links of each task in a schedule, and which is the only task that each waits for.
struct ScheduleLinks {
  std::vector<TaskLinks> of;
  std::vector<TaskId> behind;

  ScheduleLinks(const std::vector<TaskNode>& nodes, const std::vector<TaskEdge>& edges)
      : of(nodes.size()), behind(nodes.size(), no_task) {
    std::map<std::vector<TaskId>, std::uint32_t> places;  // of like edges
    for (const TaskNode& node : nodes) {
      TaskLinks links = node.links;
      // Edges to plain tasks come first.
      while (links.edges != 0 && edges[links.first_edge].run != 0) {
        behind[edges[links.first_edge].target.id] = node.handle.id;
        links.is_awaited = 1;
        ++links.first_edge;
        --links.edges;
      }
      std::vector<TaskId> targets;
      for (std::uint32_t i = 0; i < links.edges; ++i) {
        targets.push_back(edges[links.first_edge + i].target.id);
      }
      links.first_edge = places.emplace(std::move(targets), links.first_edge).first->second;
      of[node.handle.id] = links;
    }
  }
};

std::vector<ScheduledTask> schedule_of(std::span<const TaskSchedule::Turn> turns,
                                       const std::vector<TaskNode>& nodes,
                                       const std::vector<TaskEdge>& edges) {
  std::vector<ScheduledTask> schedule;
  if (turns.empty()) return schedule;
  const ScheduleLinks links(nodes, edges);
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
  schedule_ = schedule_of(ranking.schedule.turns, nodes_, edges_);
  begins_ = ranking.schedule.begins;
  memory_.upload(schedule_.data(), schedule_.size() * sizeof(ScheduledTask), places.schedule);
  memory_.upload(begins_.data(), begins_.size() * sizeof(std::uint32_t), places.begins);
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
