// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <algorithm>
#include <numeric>
#include <string>

namespace aatgs::coloring {
namespace {

void check_size(std::size_t vertex_count, std::size_t edge_count) {
  if (vertex_count > max_vertices) {
    throw InputError("a graph of " + std::to_string(vertex_count) +
                     " vertices is over the limit of " + std::to_string(max_vertices));
  }
  if (edge_count > max_edges) {
    throw InputError("a list of " + std::to_string(edge_count) + " edges is over the limit of " +
                     std::to_string(max_edges));
  }
}

void check_edge(std::size_t vertex_count, const Edge& edge) {
  if (edge.u == edge.v) {
    throw InputError("vertex " + std::to_string(edge.u) +
                     " has an edge to itself: no coloring is legal, remove the edge");
  }
  if (edge.u >= vertex_count || edge.v >= vertex_count) {
    throw InputError("edge " + std::to_string(edge.u) + "-" + std::to_string(edge.v) +
                     " leaves the graph, whose vertices are 0.." +
                     std::to_string(std::ptrdiff_t(vertex_count) - 1));
  }
}

/// Sorts each row, drops repeated neighbors and closes the gaps they leave.
void merge_duplicates(std::vector<std::uint32_t>& offsets, std::vector<Vertex>& neighbors) {
  auto out = neighbors.begin();
  std::uint32_t row_begin = 0;
  for (std::size_t v = 0; v + 1 < offsets.size(); ++v) {
    const auto first = neighbors.begin() + row_begin;
    const auto last = neighbors.begin() + offsets[v + 1];
    row_begin = offsets[v + 1];
    std::sort(first, last);
    out = std::unique_copy(first, last, out);
    offsets[v + 1] = static_cast<std::uint32_t>(out - neighbors.begin());
  }
  neighbors.erase(out, neighbors.end());
  neighbors.shrink_to_fit();
}

}  // namespace

Graph::Graph(std::size_t vertex_count, std::span<const Edge> edges) {
  check_size(vertex_count, edges.size());
  offsets_.assign(vertex_count + 1, 0);
  for (const Edge& edge : edges) {
    check_edge(vertex_count, edge);
    ++offsets_[edge.u + std::size_t{1}];
    ++offsets_[edge.v + std::size_t{1}];
  }
  std::partial_sum(offsets_.begin(), offsets_.end(), offsets_.begin());

  neighbors_.resize(2 * edges.size());
  std::vector<std::uint32_t> next(offsets_.begin(), offsets_.end() - 1);
  for (const Edge& edge : edges) {
    neighbors_[next[edge.u]++] = edge.v;
    neighbors_[next[edge.v]++] = edge.u;
  }
  merge_duplicates(offsets_, neighbors_);
}

std::uint32_t Graph::max_degree() const noexcept {
  std::uint32_t most = 0;
  for (Vertex v = 0; v < vertex_count(); ++v) most = std::max(most, degree(v));
  return most;
}

bool Graph::has_edge(Vertex u, Vertex v) const noexcept {
  if (u >= vertex_count()) return false;
  const auto row = neighbors(u);
  return std::binary_search(row.begin(), row.end(), v);
}

std::vector<Edge> Graph::edges() const {
  std::vector<Edge> list;
  list.reserve(edge_count());
  for (Vertex u = 0; u < vertex_count(); ++u) {
    for (const Vertex v : neighbors(u)) {
      if (u < v) list.push_back({u, v});
    }
  }
  return list;
}

}  // namespace aatgs::coloring
