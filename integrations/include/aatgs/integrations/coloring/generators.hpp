// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/graph.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace aatgs::coloring {

/// The graph of the queen's moves on a `side` x `side` board, as DIMACS' queenN_N: square
/// (row, column) is vertex `row * side + column`; two squares are adjacent in one row, column or
/// diagonal. OptionError unless 1 <= side <= 256.
Graph queen_graph(std::size_t side);

/// DIMACS' mycielK, numbered as there: the Mycielski construction (1955) applied `order - 1` times
/// to one edge. Its clique number is 2 and its chromatic number `order + 1`; myciel3 has 11
/// vertices and 20 edges. OptionError unless 1 <= order <= 15.
Graph mycielski_graph(std::size_t order);

/// The random graph G(n, p): each of the n(n-1)/2 pairs is an edge with probability p, in time
/// proportional to the edges (geometric skipping: Batagelj & Brandes, "Efficient generation of
/// large random networks", Phys. Rev. E 71, 036113, 2005). The same seed gives the same graph on
/// every platform, up to the last bit of the C library's `log`.
/// OptionError unless 1 <= n <= max_vertices, 0 <= p <= 1 and p n(n-1)/2 <= max_edges / 2.
Graph gnp_graph(std::size_t n, double p, std::uint64_t seed);

/// `n` colors, each uniform in [0, k); the same for a seed on every platform.
/// OptionError unless 1 <= k < 2^32.
std::vector<Color> random_coloring(std::size_t n, std::uint64_t k, std::uint64_t seed);

}  // namespace aatgs::coloring
