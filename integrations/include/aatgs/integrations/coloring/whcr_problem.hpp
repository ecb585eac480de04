// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/haar_field.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::coloring {

/// Where a search stands; kept between slices.
struct WhcrState {
  std::int32_t conflicts;       ///< edges whose ends have the same color, now
  std::int32_t best_conflicts;  ///< fewest so far
  std::int32_t moves;           ///< in the present slice
  std::int32_t worsening;       ///< those of them that added conflicts
  std::uint32_t iteration;      ///< iterations since the search began; recombining builds the
                                ///< tables anew, but the count goes on
};

/// One search: the graph and the tables of this search; a view. n vertices, k colors.
struct WhcrSearch {
  std::uint32_t vertices;
  std::uint32_t colors;
  std::uint64_t seed;
  const std::uint32_t* offsets;    ///< [n + 1], see Graph
  const std::uint32_t* neighbors;  ///< [offsets[n]]

  WhcrState* state;
  std::uint32_t* coloring;  ///< [n], each below k
  std::int32_t* gamma;      ///< [n][k], neighbors of the vertex that have the color
  std::uint32_t* barred;    ///< [n][k], first iteration that may give the color back (tabu)
  HaarField conflicts;      ///< of the vertices: gamma[v][coloring[v]]
  std::uint64_t* wish;      ///< [n], the move the vertex would make; 0: none; not kept

  [[nodiscard]] AATGS_HOST_DEVICE std::size_t row(std::uint32_t vertex) const {
    return std::size_t{vertex} * colors;
  }
};

/// Everything a WhcrStep works on: raw pointers into memory that the executor can reach and someone
/// else owns, each at a multiple of 16 bytes. The graph is shared by `searches` independent
/// searches, each with tables of its own. Limits: k <= max_colors, degrees <= max_degree.
struct WhcrProblem {
  static constexpr std::uint32_t max_colors = (1U << 16) - 1;
  static constexpr std::uint32_t max_degree = (1U << 19) - 1;

  std::uint32_t vertices = 0;
  std::uint32_t colors = 0;
  std::uint32_t searches = 0;
  std::uint32_t nodes = 0;  ///< of the matching hierarchy
  std::uint64_t seed = 0;

  const std::uint32_t* offsets = nullptr;    ///< [vertices + 1], see Graph
  const std::uint32_t* neighbors = nullptr;  ///< [offsets[vertices]]
  const std::uint32_t* parent = nullptr;     ///< [nodes], see MatchingHierarchy
  const std::uint8_t* paired = nullptr;      ///< [nodes]
  std::byte* tables = nullptr;               ///< [searches][table_bytes()]
  std::uint32_t* shown = nullptr;            ///< [searches][vertices], colorings at the end of
                                             ///< slices, for others to recombine with; or null

  /// A slice works on a copy in the block's scratch and writes it back. `Scope::block` only, where
  /// `scratch_bytes()` fit; `parent`, `paired` and `offsets` have room for whole pieces of 16
  /// bytes.
  bool in_scratch = false;

  /// Of one search: state, coloring, gamma, barred, means; then, from kept_bytes() on, the wishes.
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t kept_bytes() const {
    const std::size_t words = std::size_t{vertices} * (2 * std::size_t{colors} + 1) + nodes;
    return whole(sizeof(WhcrState) + words * 4);
  }
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t table_bytes() const {
    return kept_bytes() + whole(std::size_t{vertices} * 8);
  }
  /// Into `tables`, where the caller sets the first coloring: [vertices] of 4 bytes.
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t coloring_at(std::uint32_t index) const {
    return index * table_bytes() + sizeof(WhcrState);
  }
  /// What a block needs that works on a copy: the tables, then `parent`, `paired`, `offsets`.
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t scratch_bytes() const {
    return table_bytes() + parent_bytes() + paired_bytes() + offset_bytes();
  }
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t parent_bytes() const { return whole(nodes * 4UL); }
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t paired_bytes() const { return whole(nodes); }
  [[nodiscard]] AATGS_HOST_DEVICE std::size_t offset_bytes() const {
    return whole((vertices + 1UL) * 4);
  }

  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t* shown_by(std::uint32_t index) const {
    return shown + std::size_t{index} * vertices;
  }
  [[nodiscard]] AATGS_HOST_DEVICE std::byte* tables_of(std::uint32_t index) const {
    return tables + index * table_bytes();
  }
  /// The search, in place.
  [[nodiscard]] AATGS_HOST_DEVICE WhcrSearch search(std::uint32_t index) const {
    return view(index, tables_of(index), parent, paired, offsets);
  }
  /// The search in a copy of `scratch_bytes()`.
  [[nodiscard]] AATGS_HOST_DEVICE WhcrSearch search_in(std::byte* copy, std::uint32_t index) const {
    std::byte* const its_parent = copy + table_bytes();
    std::byte* const its_paired = its_parent + parent_bytes();
    return view(index, copy, reinterpret_cast<std::uint32_t*>(its_parent),
                reinterpret_cast<std::uint8_t*>(its_paired),
                reinterpret_cast<std::uint32_t*>(its_paired + paired_bytes()));
  }

 private:
  AATGS_HOST_DEVICE static std::size_t whole(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

  [[nodiscard]] AATGS_HOST_DEVICE WhcrSearch view(std::uint32_t index, std::byte* its_tables,
                                                  const std::uint32_t* its_parent,
                                                  const std::uint8_t* its_paired,
                                                  const std::uint32_t* its_offsets) const {
    const std::size_t cells = std::size_t{vertices} * colors;
    auto* const coloring = reinterpret_cast<std::uint32_t*>(its_tables + sizeof(WhcrState));
    auto* const gamma = reinterpret_cast<std::int32_t*>(coloring + vertices);
    auto* const barred = reinterpret_cast<std::uint32_t*>(gamma + cells);
    auto* const mean = reinterpret_cast<std::int32_t*>(barred + cells);
    return {vertices,
            colors,
            seed + index,
            its_offsets,
            neighbors,
            reinterpret_cast<WhcrState*>(its_tables),
            coloring,
            gamma,
            barred,
            {its_parent, its_paired, mean},
            reinterpret_cast<std::uint64_t*>(its_tables + kept_bytes())};
  }
};

}  // namespace aatgs::coloring
