// SPDX-License-Identifier: Apache-2.0
// Any text is a graph that keeps its promises and survives a round trip, or an InputError.
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/dimacs.hpp>
#include <sstream>

#include "graph_check.hpp"

using namespace aatgs::coloring;
using aatgs::fuzz::require;

namespace {

constexpr DimacsLimits limits{.vertices = 1U << 16, .edges = 1U << 12};

void check_file(const DimacsFile& file) {
  aatgs::fuzz::check_graph(file.graph);
  require(file.graph.vertex_count() >= 1 && file.graph.vertex_count() <= limits.vertices,
          "a vertex count outside the limits");
  require(file.info.edge_lines <= limits.edges, "more edges than the limit");
  require(file.info.edges == file.graph.edge_count(), "a wrong count of edges");
  require(file.info.edges <= file.info.edge_lines, "edges that were not listed");
  for (const std::string& warning : file.info.warnings) aatgs::fuzz::require_one_line(warning);

  std::stringstream copy;
  write_dimacs(copy, file.graph, "again");
  const DimacsFile again = read_dimacs(copy, "copy");
  require(again.graph == file.graph && again.info.warnings.empty(), "a copy is another graph");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  try {
    check_file(read_dimacs(in, "g.col", limits));
  } catch (const aatgs::InputError& error) {
    aatgs::fuzz::require_one_line(error.what());
    require(std::string_view(error.what()).starts_with("g.col:"), "an error without its file");
  }
  return 0;
}
