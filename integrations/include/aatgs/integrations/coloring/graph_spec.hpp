// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/graph.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs::coloring {

/// A graph as a user named it.
struct NamedGraph {
  Graph graph;
  std::string name;                   ///< short printable ASCII: DSJC125.5, queen8_8, myciel5, ...
  std::vector<std::string> warnings;  ///< of the file's reader, one line each
};

/// One sentence that lists the forms of `load_graph`, for help texts.
std::string graph_spec_help();

/// Makes the graph that a command line names: `queen:SIDE`, `myciel:ORDER`, `gnp:N:P:SEED`, or a
/// DIMACS `.col` file (`./queen:8` for a file of such a name).
/// Throws InputError: `FILE:LINE: reason` from the reader, else the spec, what is wrong with it and
/// the forms.
NamedGraph load_graph(std::string_view spec);

}  // namespace aatgs::coloring
