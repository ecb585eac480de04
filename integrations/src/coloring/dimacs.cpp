// SPDX-License-Identifier: Apache-2.0
#include <aatgs/integrations/coloring/dimacs.hpp>
#include <algorithm>
#include <new>
#include <sstream>

#include "../text_input.hpp"
#include "replace_file.hpp"

namespace aatgs::coloring {
namespace {

class Parser {
 public:
  Parser(std::istream& in, const std::string& name, const DimacsLimits& limits)
      : lines_(in, name), limits_(limits) {}

  DimacsFile run();

 private:
  void take_line();
  void take_problem(const std::vector<std::string_view>& words);
  void take_edge(const std::vector<std::string_view>& words);
  std::uint64_t number(std::string_view word, const char* what) const;
  Vertex vertex(std::string_view word) const;
  void check_end() const;
  void compare_counts(DimacsInfo& info) const;

  LineReader lines_;
  DimacsLimits limits_;
  std::size_t problem_line_ = 0;  // 0: not seen yet
  std::uint64_t vertices_ = 0;
  std::uint64_t declared_edges_ = 0;
  std::vector<Edge> edges_;
};

std::uint64_t Parser::number(std::string_view word, const char* what) const {
  const auto value = parse_number(word);
  if (!value) {
    lines_.fail(std::string(what) + " '" + printable(word) + "' is not a whole number of 64 bits");
  }
  return *value;
}

Vertex Parser::vertex(std::string_view word) const {
  const std::uint64_t value = number(word, "vertex");
  if (value < 1 || value > vertices_) {
    lines_.fail("vertex " + std::to_string(value) + " is not in 1.." + std::to_string(vertices_));
  }
  return static_cast<Vertex>(value - 1);
}

void Parser::take_problem(const std::vector<std::string_view>& words) {
  if (problem_line_ != 0) {
    lines_.fail("second 'p' line; the first is line " + std::to_string(problem_line_));
  }
  if (words.size() != 4 || (words[1] != "edge" && words[1] != "col")) {
    lines_.fail("expected 'p edge N M' or 'p col N M', found '" + printable(lines_.line()) + "'");
  }
  vertices_ = number(words[2], "vertex count");
  if (vertices_ < 1 || vertices_ > limits_.vertices) {
    lines_.fail("vertex count " + std::to_string(vertices_) + " is not in 1.." +
                std::to_string(limits_.vertices));
  }
  declared_edges_ = number(words[3], "edge count");
  problem_line_ = lines_.number();
}

void Parser::take_edge(const std::vector<std::string_view>& words) {
  if (problem_line_ == 0) lines_.fail("edge before the 'p edge N M' line");
  if (words.size() != 3) {
    lines_.fail("expected 'e U V' with two vertices, found '" + printable(lines_.line()) + "'");
  }
  const Edge edge{vertex(words[1]), vertex(words[2])};
  if (edge.u == edge.v) {
    lines_.fail("vertex " + std::to_string(edge.u + 1) +
                " has an edge to itself, so that no coloring is legal");
  }
  if (edges_.size() == limits_.edges) {
    lines_.fail("more edges than the limit of " + std::to_string(limits_.edges));
  }
  edges_.push_back(edge);
}

void Parser::take_line() {
  const auto& words = lines_.words();
  if (words.empty() || words[0][0] == 'c') return;
  if (words[0] == "e") return take_edge(words);
  if (words[0] == "p") return take_problem(words);
  lines_.fail("unknown line '" + printable(lines_.line()) + "'; lines start with c, p or e");
}

void Parser::check_end() const {
  if (lines_.number() == 0) throw_at(lines_.name(), 0, "is empty; expected a 'p edge N M' line");
  if (problem_line_ == 0) lines_.fail("the file ends without a 'p edge N M' line");
  const std::size_t found = edges_.size();
  if (lines_.unterminated() && found < declared_edges_) {
    lines_.fail("the file ends inside this line and has " + std::to_string(found) + " of " +
                std::to_string(declared_edges_) +
                " declared edges: it looks cut (if it is whole, end its last line)");
  }
}

void Parser::compare_counts(DimacsInfo& info) const {
  const std::uint64_t declared = declared_edges_;
  // Counting each edge once or from both ends are both customary.
  const bool agrees = declared == info.edge_lines || declared == info.edges ||
                      declared == 2 * std::uint64_t{info.edges};
  if (agrees) return;
  info.warnings.push_back(printable(lines_.name()) + ":" + std::to_string(problem_line_) + ": " +
                          std::to_string(declared) + " edges declared, " +
                          std::to_string(info.edge_lines) + " listed, " +
                          std::to_string(info.edges) + " of them different");
}

DimacsFile Parser::run() {
  while (lines_.next()) take_line();
  check_end();
  DimacsFile file{Graph(vertices_, edges_), {}};
  file.info.declared_edges = declared_edges_;
  file.info.edge_lines = edges_.size();
  file.info.edges = file.graph.edge_count();
  compare_counts(file.info);
  return file;
}

}  // namespace

DimacsFile read_dimacs(std::istream& in, const std::string& name, const DimacsLimits& limits) {
  try {
    return Parser(in, name, limits).run();
  } catch (const std::bad_alloc&) {
    throw_at(name, 0, "this graph does not fit into the memory of this machine");
  }
}

DimacsFile read_dimacs(const std::filesystem::path& path, const DimacsLimits& limits) {
  std::ifstream in = open_input(path);
  return read_dimacs(in, path.string(), limits);
}

void write_dimacs(std::ostream& out, const Graph& graph, const std::string& comment) {
  std::istringstream lines(comment);
  for (std::string line; std::getline(lines, line);) out << "c " << line << '\n';
  out << "p edge " << graph.vertex_count() << ' ' << graph.edge_count() << '\n';
  for (const Edge& edge : graph.edges()) out << "e " << edge.u + 1 << ' ' << edge.v + 1 << '\n';
}

void write_dimacs(const std::filesystem::path& path, const Graph& graph,
                  const std::string& comment) {
  replace_file(path, [&](std::ostream& out) { write_dimacs(out, graph, comment); });
}

}  // namespace aatgs::coloring
