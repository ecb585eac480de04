// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/dimacs.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "graph_test_support.hpp"

using namespace aatgs::coloring;
using namespace aatgs::coloring::test;

namespace {

DimacsFile parse(const std::string& text) {
  std::istringstream in(text);
  return read_dimacs(in, "g.col");
}

std::string error_of(const std::string& text) {
  return input_error([&] { parse(text); });
}

const Graph path3(3, std::vector<Edge>{{0, 1}, {1, 2}});

}  // namespace

TEST_CASE("vertices are off by one") {
  CHECK(parse("p edge 3 2\ne 1 2\ne 3 2\n").graph == path3);
}

TEST_CASE("a harmless way to write the file is refused") {
  SUBCASE("p col") {
    CHECK(parse("p col 3 2\ne 1 2\ne 2 3\n").graph == path3);
  }
  SUBCASE("CRLF") {
    CHECK(parse("c x\r\np edge 3 2\r\n\r\ne 1 2\r\ne 2 3\r\n").graph == path3);
  }
  SUBCASE("blank lines") {
    CHECK(parse("\n \t\np edge 3 2\n\ne 1 2\ne 2 3\n\n").graph == path3);
  }
  SUBCASE("blanks around words") {
    CHECK(parse("  p  edge\t3   2 \n\te 1  2 \n e\t2 3\t\n").graph == path3);
  }
  SUBCASE("comments anywhere, also without a blank, also not ASCII") {
    CHECK(parse("c\ncopyright\np edge 3 2\ne 1 2\nc \xC3\xA9\n  c e 9 9\ne 2 3\nc\n").graph ==
          path3);
  }
  SUBCASE("no end of the last line") {
    CHECK(parse("p edge 3 2\ne 1 2\ne 2 3").graph == path3);
  }
  SUBCASE("no edges") {
    CHECK(parse("p edge 3 0").graph == Graph(3, {}));
  }
  SUBCASE("leading zeros") {
    CHECK(parse("p edge 003 02\ne 01 2\ne 2 3\n").graph == path3);
  }
}

TEST_CASE("an edge listed twice counts twice, or a customary count of them is a warning") {
  const auto once = parse("p edge 3 2\ne 1 2\ne 2 3\n");
  CHECK(once.info.warnings.empty());
  const auto both_ends = parse("p edge 3 4\ne 1 2\ne 2 1\ne 2 3\ne 3 2\n");
  CHECK(both_ends.graph == path3);
  CHECK(both_ends.info.declared_edges == 4);
  CHECK(both_ends.info.edge_lines == 4);
  CHECK(both_ends.info.edges == 2);
  CHECK(both_ends.info.warnings.empty());
  CHECK(parse("p edge 3 2\ne 1 2\ne 2 1\ne 2 3\ne 3 2\n").info.warnings.empty());
  CHECK(parse("p edge 3 4\ne 1 2\ne 2 3\n").info.warnings.empty());
}

TEST_CASE("a header with a wrong edge count is refused, or passes in silence") {
  for (const char* count : {"0", "1", "7", "18446744073709551615"}) {
    const auto file = parse(std::string("c\np edge 3 ") + count + "\ne 1 2\ne 2 3\ne 3 2\n");
    CHECK(file.graph == path3);
    REQUIRE(file.info.warnings.size() == 1);
    CHECK(file.info.warnings[0] ==
          std::string("g.col:2: ") + count + " edges declared, 3 listed, 2 of them different");
  }
}

TEST_CASE("a malformed line is accepted, or its error does not name file, line and reason") {
  const std::string p = "p edge 3 2\n";
  // clang-format off
  CHECK(error_of("e 1 2\n" + p) == "g.col:1: edge before the 'p edge N M' line");
  CHECK(error_of("c\n\n" + p + "e 1 2\n" + p) == "g.col:5: second 'p' line; the first is line 3");
  CHECK(error_of("p edge 3\n") == "g.col:1: expected 'p edge N M' or 'p col N M', found 'p edge 3'");
  CHECK(error_of("p edge 3 2 1\n") == "g.col:1: expected 'p edge N M' or 'p col N M', found 'p edge 3 2 1'");
  CHECK(error_of("p cnf 3 2\n") == "g.col:1: expected 'p edge N M' or 'p col N M', found 'p cnf 3 2'");
  CHECK(error_of("p edge x 2\n") == "g.col:1: vertex count 'x' is not a whole number of 64 bits");
  CHECK(error_of("p edge 3 2x\n") == "g.col:1: edge count '2x' is not a whole number of 64 bits");
  CHECK(error_of("p edge 3 -2\n") == "g.col:1: edge count '-2' is not a whole number of 64 bits");
  CHECK(error_of("p edge 0 0\n") == "g.col:1: vertex count 0 is not in 1..67108864");
  CHECK(error_of(p + "e 0 2\n") == "g.col:2: vertex 0 is not in 1..3");
  CHECK(error_of(p + "e 1 2\ne 2 4\n") == "g.col:3: vertex 4 is not in 1..3");
  CHECK(error_of(p + "e -1 2\n") == "g.col:2: vertex '-1' is not a whole number of 64 bits");
  CHECK(error_of(p + "e 1.5 2\n") == "g.col:2: vertex '1.5' is not a whole number of 64 bits");
  CHECK(error_of(p + "e one 2\n") == "g.col:2: vertex 'one' is not a whole number of 64 bits");
  CHECK(error_of(p + "e 1 2 3\n") == "g.col:2: expected 'e U V' with two vertices, found 'e 1 2 3'");
  CHECK(error_of(p + "e 1 2 # x\n") == "g.col:2: expected 'e U V' with two vertices, found 'e 1 2 # x'");
  CHECK(error_of(p + "e 1\n") == "g.col:2: expected 'e U V' with two vertices, found 'e 1'");
  CHECK(error_of(p + "1 2\n") == "g.col:2: unknown line '1 2'; lines start with c, p or e");
  CHECK(error_of(p + "e1 2\n") == "g.col:2: unknown line 'e1 2'; lines start with c, p or e");
  CHECK(error_of(p + "e 1 2\ne 3 3\n") == "g.col:3: vertex 3 has an edge to itself, so that no coloring is legal");
  // clang-format on
}

TEST_CASE("a number too large for its type wraps to a small one") {
  const std::string p = "p edge 3 1\n";
  CHECK(error_of(p + "e 1 4294967298\n") == "g.col:2: vertex 4294967298 is not in 1..3");
  CHECK(error_of(p + "e 1 18446744073709551618\n") ==
        "g.col:2: vertex '18446744073709551618' is not a whole number of 64 bits");
  CHECK(error_of("p edge 4294967299 1\n") ==
        "g.col:1: vertex count 4294967299 is not in 1..67108864");
  CHECK(error_of("p edge 18446744073709551619 1\n") ==
        "g.col:1: vertex count '18446744073709551619' is not a whole number of 64 bits");
  CHECK(error_of("p edge 3 18446744073709551617\n") ==
        "g.col:1: edge count '18446744073709551617' is not a whole number of 64 bits");
}

TEST_CASE("a header's counts make the reader allocate before it has seen an edge") {
  CHECK(error_of("p edge 67108865 1\n") == "g.col:1: vertex count 67108865 is not in 1..67108864");
  CHECK(parse("p edge 3 18446744073709551615\ne 1 2\n").graph.edge_count() == 1);
}

TEST_CASE("a file over the limits of the caller is read") {
  const auto limited = [](const std::string& text) {
    std::istringstream in(text);
    return input_error([&] { read_dimacs(in, "g.col", {.vertices = 9, .edges = 2}); });
  };
  CHECK(limited("p edge 9 2\ne 1 9\ne 2 9\n").empty());
  CHECK(limited("p edge 10 0\n") == "g.col:1: vertex count 10 is not in 1..9");
  CHECK(limited("p edge 9 2\ne 1 2\ne 2 1\ne 3 4\n") == "g.col:4: more edges than the limit of 2");
}

TEST_CASE("a file cut anywhere inside a line is read as a smaller or other graph") {
  const std::string header = "c path\np edge 120 4\n";
  const std::string whole = header + "e 12 100\ne 100 117\ne 117 118\ne 118 119\n";
  REQUIRE(parse(whole).info.warnings.empty());
  // Beyond this all declared edges are there, so that a shorter last number cannot be told.
  const std::size_t last = whole.rfind("119");
  for (std::size_t size = 0; size <= last; ++size) {
    const std::string cut = whole.substr(0, size);
    CAPTURE(cut);
    if (size >= header.size() && cut.ends_with('\n')) {
      // Whole lines only: no more than a wrong count, and half of it is a customary one.
      const auto file = parse(cut);
      CHECK(file.info.warnings.size() == (file.info.edges == 2 ? 0 : 1));
    } else {
      CHECK(error_of(cut).starts_with("g.col:"));
    }
  }
}

TEST_CASE("a number cut short at the end of the file becomes another vertex") {
  CHECK(error_of("p edge 200 3\ne 12 34\ne 12 100\ne 13 1") ==
        "");  // all three are there: nothing shows the cut
  CHECK(error_of("p edge 200 5\ne 12 34\ne 12 100\ne 13 1") ==
        "g.col:4: the file ends inside this line and has 3 of 5 declared edges: it looks cut (if "
        "it is whole, end its last line)");
  CHECK(error_of("p edge 200 5\ne 12 34\ne 12") ==
        "g.col:3: expected 'e U V' with two vertices, found 'e 12'");
}

TEST_CASE("binary garbage is read, floods the terminal or exhausts memory") {
  using namespace std::string_literals;
  CHECK(error_of("p edge 3 2\ne 1 2\0\n"s) == "g.col:2: NUL byte: this is not a text file");
  CHECK(error_of("c \0\np edge 3 2\n"s) == "g.col:1: NUL byte: this is not a text file");
  CHECK(error_of("\x7F"
                 "ELF\x02\x01\x1B[2J\n") ==
        "g.col:1: unknown line '?ELF???[2J'; lines start with c, p or e");
  CHECK(error_of("c\n" + std::string(70000, 'x')) == "g.col:2: line is longer than 65535 bytes");
  CHECK(parse("c" + std::string(65534, 'x') + "\np edge 3 0\n").graph.vertex_count() == 3);
  CHECK(error_of("c" + std::string(65535, 'x') + "\np edge 3 0\n") ==
        "g.col:1: line is longer than 65535 bytes");
  CHECK(error_of(std::string(60000, 'x') + "\n").size() < 400);
}

TEST_CASE("an empty, missing or unreadable file is an empty graph or no clear error") {
  const TempDir dir;
  const auto error_at = [](const fs::path& path) {
    return input_error([&] { read_dimacs(path); });
  };
  const std::string empty = (dir / "empty.col").string();
  put(empty, "");
  CHECK(error_at(empty) == empty + ":0: is empty; expected a 'p edge N M' line");
  const std::string missing = (dir / "missing.col").string();
  CHECK(error_at(missing) == missing + ":0: cannot open: No such file or directory");
  const std::string folder = (dir / "").string();
  CHECK(error_at(folder) == folder + ":0: is a directory, not a file");
  CHECK(error_of("c only\nc comments\n") == "g.col:2: the file ends without a 'p edge N M' line");
  CHECK(error_of("\n") == "g.col:1: the file ends without a 'p edge N M' line");
  if (fs::exists("/dev/zero")) {
    CHECK(error_at("/dev/zero") == "/dev/zero:1: line is longer than 65535 bytes");
  }
}

TEST_CASE("a stream that failed before it was read is blamed for a long line") {
  std::ifstream never_opened;
  never_opened.setstate(std::ios::failbit);
  CHECK(input_error([&] { read_dimacs(never_opened, "g.col"); }) ==
        "g.col:0: cannot read: the stream had failed before, was the file opened?");
}

TEST_CASE("a message is more than one line because the file's name is") {
  std::istringstream in("x\n");
  const std::string message = input_error([&] { read_dimacs(in, "a\nb.col"); });
  CHECK(message == "a?b.col:1: unknown line 'x'; lines start with c, p or e");
}

TEST_CASE("a graph written and read again is another graph") {
  const TempDir dir;
  const Graph graph(6, std::vector<Edge>{{0, 5}, {1, 3}, {3, 4}, {0, 2}});
  write_dimacs(dir / "g.col", graph, "two\nlines");
  CHECK(slurp(dir / "g.col") == "c two\nc lines\np edge 6 4\ne 1 3\ne 1 6\ne 2 4\ne 4 5\n");
  const auto again = read_dimacs(dir / "g.col");
  CHECK(again.graph == graph);
  CHECK(again.info.warnings.empty());
  CHECK(dir.entries() == 1);
  CHECK_THROWS_AS(write_dimacs(dir / "no/such/g.col", graph), aatgs::InputError);
}

TEST_CASE("a real DIMACS file is refused or loses edges" * doctest::skip(dimacs_dir() == nullptr)) {
  const fs::path dir = dimacs_dir();
  struct Known {
    const char* name;
    std::uint32_t vertices;
    std::size_t edges;
  };
  for (const Known& known : {Known{"DSJC125.5", 125, 3891}, Known{"DSJC250.5", 250, 15668},
                             Known{"DSJC500.5", 500, 62624}, Known{"DSJC1000.5", 1000, 249826},
                             Known{"le450_15a", 450, 8168}, Known{"school1", 385, 19095},
                             Known{"flat300_28_0", 300, 21695}}) {
    CAPTURE(known.name);
    const auto file = read_dimacs(dir / (std::string(known.name) + ".col"));
    CHECK(file.graph.vertex_count() == known.vertices);
    CHECK(file.graph.edge_count() == known.edges);
    CHECK(file.info.warnings.empty());
  }
}

TEST_CASE("one file of the collection does not survive a round trip" *
          doctest::skip(dimacs_dir() == nullptr)) {
  const TempDir temp;
  int files = 0;
  for (const auto& entry : fs::directory_iterator(dimacs_dir())) {
    if (entry.path().extension() != ".col") continue;
    CAPTURE(entry.path());
    const Graph graph = read_dimacs(entry.path()).graph;
    write_dimacs(temp / "copy.col", graph);
    CHECK(read_dimacs(temp / "copy.col").graph == graph);
    ++files;
  }
  CHECK(files > 0);
}
