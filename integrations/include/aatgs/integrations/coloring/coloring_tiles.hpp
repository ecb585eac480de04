// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/gpu_loops.hpp>
#include <aatgs/runtime/bits.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs::coloring {

/// Codes with which tasks of a coloring fail.
enum class ColoringFault : std::uint32_t {
  uncolored = 1,  ///< a vertex has no color
  conflict,       ///< the ends of an edge have the same color
  above_degree,   ///< a vertex has a color above its degree: not the first that was free
  miscounted,     ///< a loser was not colored again, or another vertex was
  no_progress,    ///< as many losers as vertices that were colored
};

/// What a coloring came to, as counted by the tasks that check it.
struct ColoringReport {
  std::uint64_t conflicts = 0;  ///< edges whose ends have the same color
  std::uint64_t uncolored = 0;
  std::uint64_t above_degree = 0;
  std::uint64_t colorings = 0;  ///< of vertices: `losers` more than there are vertices
  std::uint64_t losers = 0;     ///< of all rounds
  std::uint32_t rounds = 0;
  std::uint32_t colors = 0;  ///< different ones
  std::uint32_t range = 0;   ///< all are below; more than `colors` if losers gave some up
};

/// Tiles of a round in which vertices have lost, and those vertices.
struct ColoringRound {
  std::uint32_t tiles;
  std::uint32_t losers;
};

/// A graph whose vertices are colored by tiles of consecutive ones; a view.
struct ColoringTiles {
  static constexpr std::uint32_t uncolored = ~0U;
  template <class T>
  using Shared = cuda::atomic_ref<T, cuda::thread_scope_device>;

  std::uint32_t vertices;
  std::uint32_t tile_vertices;
  std::uint32_t tiles;
  std::uint32_t used_words;
  bool repeatable;                 ///< see `ColoringOptions`
  const std::uint32_t* offsets;    ///< [vertices + 1], see Graph
  const std::uint32_t* neighbors;  ///< [offsets[vertices]]
  std::uint64_t* priorities;       ///< [vertices]
  std::uint32_t* colors;           ///< [vertices]
  std::uint32_t* due;              ///< [vertices] the last round that is to color the vertex
  std::uint32_t* lists;            ///< [2][tiles] with losers, of even and of odd rounds
  ColoringRound* rounds;           ///< [2] of even and of odd rounds
  std::uint32_t* used;             ///< [used_words] a bit for each color
  ColoringReport* report;

  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t degree(std::uint32_t v) const {
    return offsets[v + 1] - offsets[v];
  }
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t color(std::uint32_t v) const {
    return Shared<std::uint32_t>(colors[v]).load(cuda::memory_order_relaxed);
  }
  [[nodiscard]] AATGS_HOST_DEVICE ColoringRound& round(std::uint32_t number) const {
    return rounds[number & 1];
  }
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t* list(std::uint32_t number) const {
    return lists + std::size_t{number & 1} * tiles;
  }
  template <class T>
  AATGS_HOST_DEVICE static void add(T& to, T value) {
    if (value != 0) Shared<T>(to).fetch_add(value, cuda::memory_order_relaxed);
  }

  /// Large degrees first: they have the fewest colors to choose from.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint64_t priority_of(std::uint32_t v,
                                                            std::uint64_t seed) const {
    return std::uint64_t{degree(v)} << 32 | counter_hash(seed, v) >> 32;
  }
  /// A total order, so that of two ends exactly one loses.
  [[nodiscard]] AATGS_HOST_DEVICE bool beats(std::uint32_t v, std::uint32_t w) const {
    return priorities[v] != priorities[w] ? priorities[v] > priorities[w] : v > w;
  }

  /// Calls `use(w, its color)` for the neighbors of `v`. Several loads at once: a color takes as
  /// long to come as all of them.
  template <class Use>
  AATGS_HOST_DEVICE void each_neighbor(std::uint32_t v, const Use& use) const {
    constexpr std::uint32_t batch = 4;
    const std::uint32_t end = offsets[v + 1];
    for (std::uint32_t e = offsets[v]; e < end; e += batch) {
      std::uint32_t near[batch];
      std::uint32_t theirs[batch];
      AATGS_UNROLL
      for (std::uint32_t i = 0; i < batch; ++i) near[i] = neighbors[e + i < end ? e + i : e];
      AATGS_UNROLL
      for (std::uint32_t i = 0; i < batch; ++i) theirs[i] = color(near[i]);
      AATGS_UNROLL
      for (std::uint32_t i = 0; i < batch; ++i) {
        if (e + i < end) use(near[i], theirs[i]);
      }
    }
  }

  /// The least color that no neighbor has, 64 colors at a look; others may be choosing theirs.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t first_free(std::uint32_t v,
                                                           std::uint32_t number) const {
    for (std::uint32_t base = 0;; base += 64) {
      std::uint64_t taken = 0;
      each_neighbor(v, [&](std::uint32_t w, std::uint32_t theirs) {
        const std::uint32_t place = theirs - base;  // of lower colors far above
        if (place >= 64 || (repeatable && due[w] == number)) return;
        taken |= std::uint64_t{1} << place;
      });
      const auto low = static_cast<std::uint32_t>(~taken);
      const auto high = static_cast<std::uint32_t>(~taken >> 32);
      if (low != 0) return base + lowest_bit(low);
      if (high != 0) return base + 32 + lowest_bit(high);
    }
  }
  /// Whether a neighbor has the same color and keeps it.
  [[nodiscard]] AATGS_HOST_DEVICE bool loses(std::uint32_t v) const {
    const std::uint32_t mine = color(v);
    bool lost = false;
    each_neighbor(v, [&](std::uint32_t w, std::uint32_t theirs) {
      if (theirs == mine && beats(w, v)) lost = true;
    });
    return lost;
  }

  /// Calls `use(v)` for the vertices of a tile.
  template <class Group, class Use>
  AATGS_HOST_DEVICE void each(Group& group, std::uint32_t tile, const Use& use) const {
    const std::uint32_t first = tile * tile_vertices;
    const std::uint32_t left = vertices - first;
    const std::uint32_t count = left < tile_vertices ? left : tile_vertices;
    for (std::uint32_t i = group.rank(); i < count; i += group.size()) use(first + i);
  }
};

}  // namespace aatgs::coloring
