// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace aatgs::search {

/// An order of a graph's vertices in which every `tile` consecutive ones lie close together: the
/// vertices are halved, again and again, by how far they are from an outermost one (A. George,
/// J. Liu, "Computer Solution of Large Sparse Positive Definite Systems", 1981). Entry i is the
/// vertex that comes i-th. The graph is compressed rows; one thread, O(edges log vertices).
std::vector<std::uint32_t> tile_order(std::span<const std::uint32_t> offsets,
                                      std::span<const std::uint32_t> neighbours,
                                      std::uint32_t tile);

/// A graph with its vertices in the order of tiles, as `TileVisitStep` reads it.
struct TiledGraph {
  std::vector<std::uint32_t> places;  ///< of the vertices
  std::vector<std::uint32_t> rims;
  std::vector<std::uint32_t> starts{0};
  std::vector<std::uint32_t> offsets;
  std::vector<std::uint32_t> neighbours;
};

/// From compressed rows. Throws `UseError` if they are no graph.
TiledGraph tiled_graph(std::span<const std::uint32_t> offsets,
                       std::span<const std::uint32_t> neighbours);

}  // namespace aatgs::search
