// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/graph.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace aatgs::coloring {

/// What a DIMACS file says about itself and what it holds.
struct DimacsInfo {
  std::uint64_t declared_edges = 0;   ///< M of the `p edge N M` line
  std::size_t edge_lines = 0;         ///< `e` lines in the file
  std::size_t edges = 0;              ///< different edges among them
  std::vector<std::string> warnings;  ///< accepted but worth a line, each `FILE:LINE: what`
};

struct DimacsFile {
  Graph graph;  ///< vertex i of the file is vertex i - 1 here
  DimacsInfo info;
};

/// Most that the reader accepts; lower them for files from strangers. It needs at most 8 bytes for
/// each vertex that the header declares and 32 for each edge that is listed.
struct DimacsLimits {
  std::size_t vertices = max_vertices;  ///< at most `max_vertices`
  std::size_t edges = max_edges;        ///< lines of edges; at most `max_edges`
};

/// Reads a graph in the ASCII DIMACS coloring format (`.col`):
///
///     c a comment
///     p edge N M      (or `p col N M`), once, before every edge
///     e U V           with 1 <= U, V <= N and U != V
///
/// Blank lines, blanks before and between words and CRLF line ends are accepted. M is advisory, as
/// real files count edges once, twice or wrongly: an edge listed again (from either end) counts
/// once, and a disagreeing M is a warning. All else is an InputError `FILE:LINE: reason`, LINE
/// being 0 where the file as a whole is meant: no such file, a directory, no line at all, no `p`
/// line, a second one, N or the edges over `limits`, missing, extra or unreadable words, a line
/// over 65535 bytes, a NUL byte, and a file that ends inside a line with fewer edges than declared,
/// since its last number may be cut.
DimacsFile read_dimacs(const std::filesystem::path& path, const DimacsLimits& limits = {});

/// The same from a stream; messages call it `name`.
DimacsFile read_dimacs(std::istream& in, const std::string& name, const DimacsLimits& limits = {});

/// Writes `graph` in that format, each edge once, with `comment` (may have lines) as `c` lines.
/// The file appears whole or not at all. Throws InputError where it cannot be written.
void write_dimacs(const std::filesystem::path& path, const Graph& graph,
                  const std::string& comment = {});

/// The same to a stream, whose state the caller checks.
void write_dimacs(std::ostream& out, const Graph& graph, const std::string& comment = {});

}  // namespace aatgs::coloring
