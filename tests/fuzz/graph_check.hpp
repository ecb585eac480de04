// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/graph.hpp>

#include "fuzz.hpp"

namespace aatgs::fuzz {

/// All that coloring/graph.hpp says of a Graph.
inline void check_graph(const coloring::Graph& graph) {
  const auto offsets = graph.offsets();
  require(offsets.size() == graph.vertex_count() + std::size_t{1}, "a wrong number of rows");
  require(offsets.front() == 0 && offsets.back() == graph.neighbors().size(), "rows out of place");
  for (coloring::Vertex v = 0; v < graph.vertex_count(); ++v) {
    require(offsets[v] <= offsets[v + std::size_t{1}], "rows that do not ascend");
    const auto row = graph.neighbors(v);
    for (std::size_t i = 0; i < row.size(); ++i) {
      require(row[i] < graph.vertex_count() && row[i] != v, "a neighbor that is none");
      require(i == 0 || row[i - 1] < row[i], "a row that does not ascend");
      require(graph.has_edge(row[i], v), "an edge at one of its ends only");
    }
  }
}

}  // namespace aatgs::fuzz
