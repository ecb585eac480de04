// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/task_scheduler.hpp>
#include <algorithm>
#include <cstdint>
#include <cuda/atomic>
#include <span>
#include <string>
#include <vector>

namespace aatgs::search {

inline constexpr std::uint32_t unreached = ~0U;

/// Visits a handful of vertices: neighbours that are now nearer go, a handful each, into new tasks.
/// There is no wait for a level: a vertex may be visited again when a shorter way is found, and at
/// the end every distance is the least (label correcting, as Bellman and Ford).
struct VisitStep {
  static constexpr unsigned block_threads = 64;
  static constexpr std::uint32_t handful = 62;
  static constexpr std::uint32_t most_found = 4096;
  struct Config {
    std::uint32_t count;
    std::uint32_t vertices[handful];
  };

  const std::uint32_t* offsets;     ///< [vertices + 1]
  const std::uint32_t* neighbours;  ///< [offsets[vertices]]
  std::uint32_t* distances;         ///< [vertices]

  [[nodiscard]] std::size_t scratch_bytes() const { return sizeof(Found); }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    Found& found = *group.template scratch<Found>();
    if (group.rank() == 0) found.count = 0;
    group.sync();
    // A thread for each vertex, but all of them for one with many neighbours.
    for (std::uint32_t i = group.rank(); i < config.count; i += group.size()) {
      const std::uint32_t v = config.vertices[i];
      if (offsets[v + 1] - offsets[v] < many) relax(group, found, v, 0, 1);
    }
    for (std::uint32_t i = 0; i < config.count; ++i) {
      const std::uint32_t v = config.vertices[i];
      if (offsets[v + 1] - offsets[v] >= many) relax(group, found, v, group.rank(), group.size());
    }
    group.sync();
    const std::uint32_t count = found.count < most_found ? found.count : most_found;
    for (std::uint32_t i = group.rank() * handful; i < count; i += group.size() * handful) {
      Config next{};
      next.count = count - i < handful ? count - i : handful;
      for (std::uint32_t k = 0; k < next.count; ++k) next.vertices[k] = found.vertices[i + k];
      group.template spawn<VisitStep>(next);
    }
  }

 private:
  static constexpr std::uint32_t many = 64;

  struct Found {
    std::uint32_t count;
    std::uint32_t vertices[most_found];
  };

  template <class Group>
  AATGS_HOST_DEVICE void relax(Group& group, Found& found, std::uint32_t v, std::uint32_t rank,
                               std::uint32_t size) const {
    using Distance = cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device>;
    const std::uint32_t mine = Distance(distances[v]).load(cuda::memory_order_relaxed) + 1;
    for (std::uint32_t e = offsets[v] + rank; e < offsets[v + 1]; e += size) {
      const std::uint32_t w = neighbours[e];
      // Mostly it is near enough, and a load is cheaper than an update.
      if (Distance(distances[w]).load(cuda::memory_order_relaxed) <= mine) continue;
      if (Distance(distances[w]).fetch_min(mine, cuda::memory_order_relaxed) <= mine) continue;
      const std::uint32_t slot =
          cuda::atomic_ref<std::uint32_t, cuda::thread_scope_block>(found.count)
              .fetch_add(1, cuda::memory_order_relaxed);
      if (slot < most_found) {
        found.vertices[slot] = w;
      } else {
        group.template spawn<VisitStep>({1, {w}});
      }
    }
  }
};

/// Distances from one vertex, in edges. The graph's tasks spawn each other: the host gives the
/// first.
class BreadthFirst {
 public:
  using TaskSteps = Steps<VisitStep>;

  /// A graph as compressed rows. Throws `UseError` if they are no graph; what `Memory` throws.
  BreadthFirst(std::span<const std::uint32_t> offsets, std::span<const std::uint32_t> neighbours,
               MemoryKind kind, int device = 0)
      : offsets_(kind, checked(offsets, neighbours), device),
        neighbours_(kind, neighbours, device),
        distances_(kind, offsets.size() - 1, device) {}

  [[nodiscard]] TaskSteps steps() const {
    return TaskSteps(VisitStep{offsets_.data(), neighbours_.data(), distances_.data()});
  }

  /// The first task of a search, for `TaskScheduler::prepare`; begin each run with `start`. The
  /// scheduler needs a slot (`spawn_slots`) for each handful of vertices of the widest moment; if
  /// it has too few the run's first task, or spawned ones, fail with `no_room_to_spawn`.
  [[nodiscard]] static TaskGraph<TaskSteps> graph(std::uint32_t source) {
    TaskGraph<TaskSteps> graph;
    graph.add<VisitStep>("search from " + std::to_string(source), {1, {source}});
    return graph;
  }

  /// Forgets all distances. Throws `UseError` for a source that is no vertex. While no run is on
  /// its way.
  void start(std::uint32_t source) {
    if (source >= distances_.size()) {
      throw UseError("a search from vertex " + std::to_string(source) + " of a graph with " +
                     std::to_string(distances_.size()));
    }
    std::vector<std::uint32_t> distances(distances_.size(), unreached);
    distances[source] = 0;
    distances_.upload(distances);
  }
  [[nodiscard]] std::vector<std::uint32_t> distances() const { return distances_.download(); }

 private:
  static std::span<const std::uint32_t> checked(std::span<const std::uint32_t> offsets,
                                                std::span<const std::uint32_t> neighbours) {
    const bool rows = offsets.size() >= 2 && offsets.front() == 0 &&
                      offsets.back() == neighbours.size() &&
                      std::is_sorted(offsets.begin(), offsets.end());
    const auto inside = [&](std::uint32_t v) { return v < offsets.size() - 1; };
    if (rows && std::all_of(neighbours.begin(), neighbours.end(), inside)) return offsets;
    throw UseError("compressed rows of " + std::to_string(offsets.size()) + " offsets and " +
                   std::to_string(neighbours.size()) +
                   " neighbours are no graph: offsets go from 0 up to the number of neighbours, "
                   "which are vertices");
  }

  Buffer<std::uint32_t> offsets_;
  Buffer<std::uint32_t> neighbours_;
  Buffer<std::uint32_t> distances_;
};

}  // namespace aatgs::search
