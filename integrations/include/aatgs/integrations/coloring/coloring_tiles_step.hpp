// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <aatgs/integrations/coloring/coloring_tiles.hpp>
#include <aatgs/runtime/bits.hpp>
#include <cstdint>

namespace aatgs::coloring {

/// Threads of a worker: many, since its registers leave room for one worker on a multiprocessor,
/// and each vertex waits for memory.
inline constexpr unsigned coloring_threads = 512;

/// The tiles of a task: `first` to `end`, shared by the task's parts.
struct TileRange {
  std::uint32_t first;
  std::uint32_t end;

  template <class Group, class Use>
  AATGS_HOST_DEVICE void each(Group& group, const Use& use) const {
    for (std::uint32_t t = first + group.part(); t < end; t += group.parts()) use(t);
  }
};

/// A round's work on some tiles.
struct RoundTiles {
  std::uint32_t round;
  TileRange range;
};

/// Priorities, and everything else as it is before the first round.
struct PrepareTiles {
  static constexpr unsigned block_threads = coloring_threads;
  struct Config {
    std::uint64_t seed;
    TileRange range;
  };
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.part() == 0) {
      for (std::uint32_t i = group.rank(); i < tiles.used_words; i += group.size()) {
        tiles.used[i] = 0;
      }
      if (group.rank() == 0) {
        tiles.round(0) = tiles.round(1) = {};
        *tiles.report = {};
      }
    }
    config.range.each(group, [&](std::uint32_t tile) {
      tiles.each(group, tile, [&](std::uint32_t v) {
        tiles.priorities[v] = tiles.priority_of(v, config.seed);
        tiles.colors[v] = ColoringTiles::uncolored;
        tiles.due[v] = 0;
      });
    });
  }
};

/// Colors those vertices that are due, with what the neighbors have by then.
struct ColorTiles {
  static constexpr unsigned block_threads = coloring_threads;
  using Config = RoundTiles;
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    std::uint32_t count = 0;
    config.range.each(group, [&](std::uint32_t tile) {
      tiles.each(group, tile, [&](std::uint32_t v) {
        if (tiles.due[v] != config.round) return;
        ColoringTiles::Shared<std::uint32_t>(tiles.colors[v])
            .store(tiles.first_free(v, config.round), cuda::memory_order_relaxed);
        ++count;
      });
    });
    count = group.sum(count);
    if (group.rank() == 0) ColoringTiles::add(tiles.report->colorings, std::uint64_t{count});
  }
};

/// Marks those of the vertices just colored that have to try again, and lists their tiles.
struct DetectTiles {
  static constexpr unsigned block_threads = coloring_threads;
  using Config = RoundTiles;
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    config.range.each(group, [&](std::uint32_t tile) {
      std::uint32_t losers = 0;
      tiles.each(group, tile, [&](std::uint32_t v) {
        if (tiles.due[v] != config.round || !tiles.loses(v)) return;
        tiles.due[v] = config.round + 1;
        ++losers;
      });
      losers = group.sum(losers);
      if (losers == 0 || group.rank() != 0) return;
      ColoringRound& round = tiles.round(config.round);
      ColoringTiles::add(round.losers, losers);
      const std::uint32_t place = ColoringTiles::Shared<std::uint32_t>(round.tiles)
                                      .fetch_add(1, cuda::memory_order_relaxed);
      tiles.list(config.round)[place] = tile;
    });
  }
};

/// Of a task between the phases of a round.
struct RoundConfig {
  std::uint32_t round;
  std::uint32_t colored;  ///< vertices of this round
};

/// Spawns a task of `Step` for each tile in the list of round `listed`, and one of `Next` behind
/// them all that stands for this task.
template <class Step, class Next, class Group>
AATGS_HOST_DEVICE void spawn_for_tiles(Group& group, const ColoringTiles& tiles,
                                       std::uint32_t listed, const RoundConfig& config) {
  const std::uint32_t count = tiles.round(listed).tiles;
  std::uint32_t next = no_task;
  if (group.rank() == 0) next = group.template continue_after<Next>(count, config);
  next = group.broadcast(next);
  if (next == no_task) return;  // this task has failed
  const std::uint32_t* list = tiles.list(listed);
  for (std::uint32_t i = group.rank(); i < count; i += group.size()) {
    group.template spawn<Step>({config.round, {list[i], list[i] + 1}}, next);
  }
}

struct SettleRound;

/// All losers of the last round have new colors: looks for conflicts among them.
struct DetectAgain {
  using Config = RoundConfig;
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (group.rank() == 0) tiles.round(config.round) = {};
    spawn_for_tiles<DetectTiles, SettleRound>(group, tiles, config.round - 1, config);
  }
};

/// A round has ended: its losers get another one. There are fewer each time: vertices that were not
/// colored in a round keep their colors, so those that were have seen them; and of those, the one
/// of highest priority loses to none.
struct SettleRound {
  using Config = RoundConfig;
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    const std::uint32_t losers = tiles.round(config.round).losers;
    if (group.rank() == 0) {
      tiles.report->losers += losers;
      tiles.report->rounds = config.round + 1;
    }
    if (losers == 0) return;
    if (losers >= config.colored) {
      group.fail(static_cast<std::uint32_t>(ColoringFault::no_progress));
      return;
    }
    spawn_for_tiles<ColorTiles, DetectAgain>(group, tiles, config.round,
                                             {config.round + 1, losers});
  }
};

/// Checks every vertex and every edge, and notes the colors.
struct VerifyTiles {
  static constexpr unsigned block_threads = coloring_threads;
  using Config = TileRange;
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    config.each(group, [&](std::uint32_t tile) {
      tiles.each(group, tile, [&](std::uint32_t v) { verify(v); });
    });
  }

 private:
  AATGS_HOST_DEVICE void verify(std::uint32_t v) const {
    constexpr std::uint64_t one = 1;
    const std::uint32_t mine = tiles.color(v);
    if (mine == ColoringTiles::uncolored) return ColoringTiles::add(tiles.report->uncolored, one);
    std::uint64_t conflicts = 0;
    tiles.each_neighbor(v, [&](std::uint32_t w, std::uint32_t theirs) {
      if (w > v && theirs == mine) ++conflicts;
    });
    ColoringTiles::add(tiles.report->conflicts, conflicts);
    if (mine > tiles.degree(v)) return ColoringTiles::add(tiles.report->above_degree, one);
    const ColoringTiles::Shared<std::uint32_t> word(tiles.used[mine / 32]);
    const std::uint32_t bit = 1U << mine % 32;
    if ((word.load(cuda::memory_order_relaxed) & bit) == 0) {
      word.fetch_or(bit, cuda::memory_order_relaxed);
    }
  }
};

/// Counts the colors, gives the report, and fails if the coloring is not what it should be.
struct ReportColoring {
  struct Config {};
  using Result = ColoringReport;
  ColoringTiles tiles;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config&, Result& out) const {
    std::uint32_t colors = 0;
    std::uint32_t range = 0;
    for (std::uint32_t i = group.rank(); i < tiles.used_words; i += group.size()) {
      const std::uint32_t word = tiles.used[i];
      colors += count_bits(word);
      for (std::uint32_t bit = 0; bit < 32; ++bit) {
        if ((word >> bit & 1) != 0) range = 32 * i + bit + 1;
      }
    }
    colors = group.sum(colors);
    range = group.max(range);
    if (group.rank() != 0) return;
    out = *tiles.report;
    out.colors = colors;
    out.range = range;
    const std::uint32_t fault = fault_of(out);
    if (fault != 0) group.fail(fault);
  }

 private:
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t fault_of(const ColoringReport& report) const {
    const auto code = [](ColoringFault fault) { return static_cast<std::uint32_t>(fault); };
    if (report.uncolored != 0) return code(ColoringFault::uncolored);
    if (report.conflicts != 0) return code(ColoringFault::conflict);
    if (report.above_degree != 0) return code(ColoringFault::above_degree);
    if (report.colorings != tiles.vertices + report.losers) return code(ColoringFault::miscounted);
    return 0;
  }
};

}  // namespace aatgs::coloring
