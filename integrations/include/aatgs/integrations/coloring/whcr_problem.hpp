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
  std::uint32_t iteration;      ///< iterations since the tables were built
};

/// The tables of one search; a view. n vertices, k colors.
struct WhcrSearch {
  std::uint32_t* coloring;  ///< [n], each below k
  std::int32_t* gamma;      ///< [n][k], neighbors of the vertex that have the color
  std::uint32_t* barred;    ///< [n][k], first iteration that may give the color back (tabu)
  std::uint64_t* wish;      ///< [n], the move the vertex would make; 0: none
  HaarField conflicts;      ///< of the vertices: gamma[v][coloring[v]]
  WhcrState* state;
  std::uint64_t seed;
};

/// Everything a WhcrStep works on: raw pointers into memory that the executor can reach and someone
/// else owns. The graph is shared by `searches` independent searches, each with tables of its own.
/// Limits: k <= max_colors, degrees <= max_degree.
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

  std::uint32_t* coloring = nullptr;  ///< [searches][vertices]; the caller sets the first one
  std::int32_t* gamma = nullptr;      ///< [searches][vertices][colors]
  std::uint32_t* barred = nullptr;    ///< [searches][vertices][colors]
  std::uint64_t* wish = nullptr;      ///< [searches][vertices]
  std::int32_t* mean = nullptr;       ///< [searches][nodes]
  WhcrState* state = nullptr;         ///< [searches]

  [[nodiscard]] AATGS_HOST_DEVICE WhcrSearch search(std::uint32_t index) const {
    const std::size_t row = std::size_t{index} * vertices;
    return {coloring + row,
            gamma + row * colors,
            barred + row * colors,
            wish + row,
            {parent, paired, mean + std::size_t{index} * nodes},
            state + index,
            seed + index};
  }
};

}  // namespace aatgs::coloring
