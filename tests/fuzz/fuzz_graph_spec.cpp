// SPDX-License-Identifier: Apache-2.0
// Any text names a graph, or gives an InputError. Specs of large graphs are left out.
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <algorithm>

#include "../../integrations/src/text_input.hpp"
#include "graph_check.hpp"

namespace {

using aatgs::fuzz::require;

struct Generator {
  std::string_view prefix;
  std::uint64_t small;    ///< sizes up to it are quick to make
  std::uint64_t largest;  ///< sizes above it are refused
};
constexpr Generator generators[] = {
    {"queen:", 12, 256}, {"myciel:", 7, 15}, {"gnp:", 200, aatgs::coloring::max_vertices}};

/// Files are not looked for: what lies on this machine is not part of the input.
bool is_quick(std::string_view spec) {
  for (const Generator& g : generators) {
    if (!spec.starts_with(g.prefix)) continue;
    const std::string_view rest = spec.substr(g.prefix.size());
    const auto size = aatgs::parse_number(rest.substr(0, rest.find(':')));
    return !size || *size <= g.small || *size > g.largest;
  }
  return false;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string spec(reinterpret_cast<const char*>(data), size);
  if (!is_quick(spec)) spec.insert(0, "no/such/folder/");
  try {
    const auto named = aatgs::coloring::load_graph(spec);
    aatgs::fuzz::check_graph(named.graph);
    require(named.graph.vertex_count() >= 1, "a graph without vertices");
    aatgs::fuzz::require_one_line(named.name);
    require(named.warnings.empty(), "a warning about a file that is none");
  } catch (const aatgs::InputError& error) {
    aatgs::fuzz::require_one_line(error.what());
  }
  return 0;
}
