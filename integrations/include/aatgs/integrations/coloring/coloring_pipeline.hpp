// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/host/task_scheduler.hpp>
#include <aatgs/integrations/coloring/coloring_tiles_step.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace aatgs::coloring {

struct ColoringOptions {
  std::uint64_t seed = 1;                          ///< breaks ties between vertices of one degree
  std::uint32_t tile_vertices = coloring_threads;  ///< of one task, at least 1
  /// The same coloring each time, whatever runs side by side: a vertex looks only at neighbors that
  /// are not being colored in the same round. Takes more rounds. Otherwise a coloring is legal each
  /// time, but depends on who comes first.
  bool repeatable = false;
};

/// A whole coloring as a graph of phases, each of tiles side by side: priorities, speculative
/// greedy coloring, a search for conflicts, rounds that repair those and that the GPU spawns
/// itself, and a check of every edge. A. Gebremedhin, F. Manne: Scalable parallel graph coloring
/// algorithms, Concurrency: Practice and Experience 2000; in rounds as in U. Catalyurek, J. Feo,
/// A. Gebremedhin, M. Halappanavar, A. Pothen: Graph coloring algorithms for multi-core and
/// massively multithreaded architectures, Parallel Computing 2012.
///
/// Uses at most one color more than the largest degree. One thread colors a vertex: a graph with
/// vertices of many thousand neighbors waits for those. Good as the start of a `WhcrSolver`.
class ColoringPipeline {
 public:
  using TaskSteps = Steps<PrepareTiles, ColorTiles, DetectTiles, DetectAgain, SettleRound,
                          VerifyTiles, ReportColoring>;

  /// The tasks of `graph()`.
  static constexpr TaskId prepare = 0, color = 1, detect = 2, settle = 3, verify = 4, report = 5;

  /// Throws `OptionError`; what `Memory` throws.
  ColoringPipeline(const Graph& graph, MemoryKind kind, const ColoringOptions& options = {},
                   int device = 0)
      : options_(checked(options)),
        used_words_(graph.max_degree() / 32 + 1),
        offsets_(kind, graph.offsets(), device),
        neighbors_(kind, graph.neighbors(), device),
        priorities_(kind, graph.vertex_count(), device),
        colors_(kind, graph.vertex_count(), device),
        due_(kind, graph.vertex_count(), device),
        lists_(kind, std::size_t{2} * tiles_of(graph.vertex_count()), device),
        rounds_(kind, 2, device),
        used_(kind, used_words_, device),
        report_(kind, 1, device) {}

  [[nodiscard]] TaskSteps steps() const {
    const ColoringTiles view = tiles();
    return TaskSteps(PrepareTiles{view}, ColorTiles{view}, DetectTiles{view}, DetectAgain{view},
                     SettleRound{view}, VerifyTiles{view}, ReportColoring{view});
  }
  /// What the steps work on; while this lives.
  [[nodiscard]] ColoringTiles tiles() const {
    const auto vertices = static_cast<std::uint32_t>(colors_.size());
    return {vertices,          options_.tile_vertices, tiles_of(vertices),
            used_words_,       options_.repeatable,    offsets_.data(),
            neighbors_.data(), priorities_.data(),     colors_.data(),
            due_.data(),       lists_.data(),          rounds_.data(),
            used_.data(),      report_.data()};
  }
  /// Slots that a scheduler needs, of whatever graph: each tile has one task, two wait, and each
  /// worker may keep some slots.
  [[nodiscard]] std::uint32_t spawn_slots() const {
    constexpr std::uint32_t kept_by_workers = 1 << 15;
    return std::bit_ceil(tiles().tiles + 2 + kept_by_workers);
  }

  /// The phases, for `TaskScheduler::prepare`, to be run as often as one likes; another seed is
  /// `config<PrepareTiles>(ColoringPipeline::prepare).seed`. After a run
  /// `result<ReportColoring>(ColoringPipeline::report)` tells what came of it, also if that task
  /// has failed, by a `ColoringFault`, since the coloring is not legal.
  [[nodiscard]] TaskGraph<TaskSteps> graph() const {
    const ColoringTiles view = tiles();
    const TileRange all{0, view.tiles};
    const TaskOptions wide{.parts = std::clamp(view.tiles, 1U, most_parts)};
    TaskGraph<TaskSteps> graph;
    graph.add<PrepareTiles>("prepare", {options_.seed, all}, {}, wide);
    graph.add<ColorTiles>("color", {0, all}, {prepare}, wide);
    graph.add<DetectTiles>("detect", {0, all}, {color}, wide);
    graph.add<SettleRound>("settle", {0, view.vertices}, {detect});
    graph.add<VerifyTiles>("verify", all, {settle}, wide);
    graph.add<ReportColoring>("report", {}, {verify});
    return graph;
  }

  /// By vertex, as `WhcrSolver::run` takes them. While no run is on its way.
  [[nodiscard]] std::vector<Color> colors() const { return colors_.download(); }

 private:
  static constexpr std::uint32_t most_parts = 1024;

  static const ColoringOptions& checked(const ColoringOptions& options) {
    if (options.tile_vertices != 0) return options;
    throw OptionError("a coloring with tile_vertices = 0: give at least 1");
  }
  [[nodiscard]] std::uint32_t tiles_of(std::uint32_t vertices) const {
    return vertices / options_.tile_vertices + (vertices % options_.tile_vertices == 0 ? 0 : 1);
  }

  ColoringOptions options_;
  std::uint32_t used_words_;
  Buffer<std::uint32_t> offsets_, neighbors_;
  Buffer<std::uint64_t> priorities_;
  Buffer<std::uint32_t> colors_, due_, lists_;
  Buffer<ColoringRound> rounds_;
  Buffer<std::uint32_t> used_;
  Buffer<ColoringReport> report_;
};

}  // namespace aatgs::coloring
