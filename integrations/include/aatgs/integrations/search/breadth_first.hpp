// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/task_scheduler.hpp>
#include <aatgs/integrations/search/tile_visit_step.hpp>
#include <aatgs/integrations/search/vertex_tiles.hpp>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace aatgs::search {

inline constexpr std::uint32_t unreached = ~0U;

/// Distances from one vertex, in edges. Tasks are tiles of the graph that spawn each other: a way
/// through 4096 vertices costs one task, and an edge in it a few looks at scratch, not a launch.
/// Good for graphs of large diameter, such as meshes and roads; tiles of a graph without near and
/// far, such as a scale-free one, have to be searched again more often.
class BreadthFirst {
 public:
  using TaskSteps = Steps<TileVisitStep>;

  /// A graph as compressed rows. Throws `UseError` if they are no graph; what `Memory` throws.
  BreadthFirst(std::span<const std::uint32_t> offsets, std::span<const std::uint32_t> neighbours,
               MemoryKind kind, int device = 0)
      : BreadthFirst(tiled_graph(offsets, neighbours), kind, device) {}

  [[nodiscard]] TaskSteps steps() const {
    return TaskSteps(TileVisitStep{rims_.data(), starts_.data(), offsets_.data(),
                                   neighbours_.data(), inbox_.data(), settled_.data(),
                                   states_.data()});
  }
  [[nodiscard]] std::uint32_t vertices() const {
    return static_cast<std::uint32_t>(places_.size());
  }
  [[nodiscard]] std::uint32_t tiles() const { return static_cast<std::uint32_t>(states_.size()); }
  /// Slots that a scheduler needs, of whatever graph: no tile has more than one task, and each
  /// worker may keep some slots.
  [[nodiscard]] std::uint32_t spawn_slots() const {
    constexpr std::uint32_t kept_by_workers = 1 << 15;
    return std::bit_ceil(tiles() + kept_by_workers);
  }

  /// The first task of a search, for `TaskScheduler::prepare`; begin each run with `start`. Throws
  /// `UseError` for a source that is no vertex.
  [[nodiscard]] TaskGraph<TaskSteps> graph(std::uint32_t source) const {
    require(source);
    TaskGraph<TaskSteps> graph;
    graph.add<TileVisitStep>("search from " + std::to_string(source),
                             {places_[source] / TileVisitStep::vertices});
    return graph;
  }

  /// Forgets all distances. Throws `UseError` for a source that is no vertex. While no run is on
  /// its way.
  void start(std::uint32_t source) {
    require(source);
    std::vector<std::uint32_t> words(settled_.size(), TileVisitStep::unreached);
    settled_.upload(words);
    words[places_[source]] = 0;
    inbox_.upload(words);
    std::vector<std::uint32_t> states(tiles(), 0);
    states[places_[source] / TileVisitStep::vertices] =
        TileVisitStep::busy | TileVisitStep::has_mail;
    states_.upload(states);
  }

  /// By vertex; `unreached` where there is no way.
  [[nodiscard]] std::vector<std::uint32_t> distances() const {
    const std::vector<std::uint32_t> by_place = settled_.download();
    std::vector<std::uint32_t> distances(vertices());
    for (std::size_t v = 0; v < distances.size(); ++v) {
      const std::uint32_t distance = by_place[places_[v]];
      distances[v] = distance == TileVisitStep::unreached ? unreached : distance;
    }
    return distances;
  }

 private:
  static constexpr std::uint32_t tile = TileVisitStep::vertices;

  BreadthFirst(TiledGraph graph, MemoryKind kind, int device)
      : places_(std::move(graph.places)),
        rims_(kind, graph.rims, device),
        starts_(kind, graph.starts, device),
        offsets_(kind, graph.offsets, device),
        neighbours_(kind, graph.neighbours, device),
        inbox_(kind, (graph.starts.size() - 1) * tile, device),
        settled_(kind, inbox_.size(), device),
        states_(kind, graph.starts.size() - 1, device) {}

  void require(std::uint32_t source) const {
    if (source < vertices()) return;
    throw UseError("a search from vertex " + std::to_string(source) + " of a graph with " +
                   std::to_string(vertices()));
  }

  std::vector<std::uint32_t> places_;
  Buffer<std::uint32_t> rims_, starts_, offsets_, neighbours_, inbox_, settled_, states_;
};

}  // namespace aatgs::search
