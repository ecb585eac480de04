// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace aatgs::coloring {

/// 0-based index of a vertex.
using Vertex = std::uint32_t;

/// 0-based color of a vertex.
using Color = std::uint32_t;

/// An undirected edge; the order of its ends means nothing.
struct Edge {
  Vertex u;
  Vertex v;
  friend bool operator==(const Edge&, const Edge&) = default;
};

/// Most vertices a graph may have. A limit of its own, so that a typing error in a file's header is
/// an error message and not an attempt to allocate all memory (2^26 vertices cost 0.5 GiB).
inline constexpr std::size_t max_vertices = std::size_t{1} << 26;

/// Most edges a graph may have: both directions of all of them are indexed by 32 bits.
inline constexpr std::size_t max_edges = std::size_t{1} << 30;

/// An undirected simple graph in compressed sparse rows; immutable, so threads may share it.
///
/// The neighbors of `v` are `neighbors()[offsets()[v] .. offsets()[v + 1])`, sorted, each once,
/// never `v` itself; every edge is stored at both of its ends. Both arrays are what a device copy
/// needs, byte for byte.
class Graph {
 public:
  /// The graph without vertices.
  Graph() = default;

  /// `vertex_count` vertices and `edges` in any order; an edge given twice, or once from each end,
  /// counts once.
  /// Throws InputError at a self-loop, at an end not below `vertex_count`, and above the limits.
  Graph(std::size_t vertex_count, std::span<const Edge> edges);

  [[nodiscard]] std::uint32_t vertex_count() const noexcept {
    return static_cast<std::uint32_t>(offsets_.size() - 1);
  }
  [[nodiscard]] std::size_t edge_count() const noexcept { return neighbors_.size() / 2; }

  /// `vertex_count() + 1` indices into `neighbors()`; the last is its size.
  [[nodiscard]] std::span<const std::uint32_t> offsets() const noexcept { return offsets_; }

  /// `2 * edge_count()` vertices.
  [[nodiscard]] std::span<const Vertex> neighbors() const noexcept { return neighbors_; }

  /// The sorted neighbors of `v`, which must be below `vertex_count()`.
  [[nodiscard]] std::span<const Vertex> neighbors(Vertex v) const noexcept {
    return neighbors().subspan(offsets_[v], degree(v));
  }
  [[nodiscard]] std::uint32_t degree(Vertex v) const noexcept {
    return offsets_[v + std::size_t{1}] - offsets_[v];
  }
  [[nodiscard]] std::uint32_t max_degree() const noexcept;

  /// Whether the edge exists; false also where an end is no vertex. Logarithmic in the degree.
  [[nodiscard]] bool has_edge(Vertex u, Vertex v) const noexcept;

  /// Every edge once with `u < v`, sorted.
  [[nodiscard]] std::vector<Edge> edges() const;

  /// Equal as labelled graphs: same vertices, same edges.
  friend bool operator==(const Graph&, const Graph&) = default;

 private:
  std::vector<std::uint32_t> offsets_{0};
  std::vector<Vertex> neighbors_;
};

}  // namespace aatgs::coloring
