// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <limits>

#include "../text_input.hpp"
#include "replace_file.hpp"

namespace aatgs::coloring {
namespace {

void check_length(const Graph& graph, std::span<const Color> coloring) {
  if (coloring.size() != graph.vertex_count()) {
    throw UseError("a coloring of " + std::to_string(coloring.size()) +
                   " vertices cannot be checked against a graph of " +
                   std::to_string(graph.vertex_count()) + "; pass one color per vertex");
  }
}

Color parse_color(const LineReader& lines, std::string_view word) {
  const auto value = parse_number(word);
  if (!value || *value > std::numeric_limits<Color>::max()) {
    lines.fail("'" + printable(word) + "' is not a color (a whole number of 32 bits)");
  }
  return static_cast<Color>(*value);
}

}  // namespace

Verification verify_coloring(const Graph& graph, std::span<const Color> coloring, std::uint64_t k) {
  if (k < 1) throw OptionError("the number of colors must be at least 1, not 0");
  check_length(graph, coloring);
  Verification result;
  for (Vertex u = 0; u < graph.vertex_count(); ++u) {
    if (coloring[u] >= k) {
      ++result.out_of_range;
      if (!result.first_out_of_range) result.first_out_of_range = u;
    }
    for (const Vertex v : graph.neighbors(u)) {
      if (u >= v || coloring[u] != coloring[v]) continue;
      ++result.conflicts;
      if (!result.first_conflict) result.first_conflict = Edge{u, v};
    }
  }
  return result;
}

std::uint64_t count_conflicts(const Graph& graph, std::span<const Color> coloring) {
  return verify_coloring(graph, coloring, std::uint64_t{1} << 32).conflicts;
}

std::string Verification::describe() const {
  if (legal()) return "legal";
  std::string text = "not legal:";
  if (first_conflict) {
    text += " " + std::to_string(conflicts) + " conflicts, the first on edge " +
            std::to_string(first_conflict->u) + "-" + std::to_string(first_conflict->v);
  }
  if (first_out_of_range) {
    text += std::string(first_conflict ? ";" : "") + " " + std::to_string(out_of_range) +
            " colors out of range, the first at vertex " + std::to_string(*first_out_of_range);
  }
  return text;
}

void write_coloring(const std::filesystem::path& path, std::span<const Color> coloring) {
  replace_file(path, [&](std::ostream& out) {
    for (const Color color : coloring) out << color << '\n';
  });
}

std::vector<Color> read_coloring(const std::filesystem::path& path, std::size_t n) {
  std::ifstream in = open_input(path);
  return read_coloring(in, path.string(), n);
}

std::vector<Color> read_coloring(std::istream& in, const std::string& name, std::size_t n) {
  LineReader lines(in, name);
  std::vector<Color> colors;
  while (lines.next()) {
    const auto& words = lines.words();
    if (words.size() != 1) {
      lines.fail("expected one color, found '" + printable(lines.line()) + "'");
    }
    if (colors.size() == n) lines.fail("more colors than the " + std::to_string(n) + " vertices");
    // A last line without its end may be a number cut in two.
    if (lines.unterminated()) lines.fail("the file ends inside this line: it looks cut");
    colors.push_back(parse_color(lines, words[0]));
  }
  if (colors.size() != n) {
    throw_at(lines.name(), lines.number(),
             "the file ends after " + std::to_string(colors.size()) + " colors; the graph has " +
                 std::to_string(n) + " vertices");
  }
  return colors;
}

}  // namespace aatgs::coloring
