// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/integrations/linear/matrix_market.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "graph_test_support.hpp"

using namespace aatgs::linear;
using aatgs::coloring::test::input_error;
using aatgs::coloring::test::put;
using aatgs::coloring::test::TempDir;

namespace {

const std::string general = "%%MatrixMarket matrix coordinate real general\n";
const std::string symmetric = "%%MatrixMarket matrix coordinate real symmetric\n";

CsrMatrix parse(const std::string& text) {
  std::istringstream in(text);
  return read_matrix_market(in, "a.mtx");
}

std::string error_of(const std::string& text) {
  return input_error([&] { parse(text); });
}

CsrMatrix from(std::size_t rows, std::size_t columns, const std::vector<Triplet>& entries) {
  return {rows, columns, entries};
}

const CsrMatrix small = from(2, 3, {{0, 0, 1.5}, {1, 2, -2e-3}});

}  // namespace

TEST_CASE("indices are off by one, or rows and columns are swapped") {
  CHECK(parse(general + "2 3 2\n1 1 1.5\n2 3 -2e-3\n") == small);
}

TEST_CASE("a symmetric file gives half a matrix, or its diagonal twice") {
  CHECK(parse(symmetric + "3 3 4\n1 1 4\n2 1 -1\n3 3 5\n3 2 7\n") ==
        from(3, 3, {{0, 0, 4}, {0, 1, -1}, {1, 0, -1}, {2, 2, 5}, {2, 1, 7}, {1, 2, 7}}));
}

TEST_CASE("a harmless way to write the file is refused") {
  SUBCASE("capitals in the first line") {
    CHECK(parse("%%matrixmarket MATRIX Coordinate Real GENERAL\n2 3 2\n1 1 1.5\n2 3 -2e-3\n") ==
          small);
  }
  SUBCASE("CRLF, blank lines, comments anywhere, blanks around words") {
    CHECK(parse("%%MatrixMarket matrix coordinate real general\r\n%\r\n% 9 9 9\r\n\r\n"
                "  2\t3  2 \r\n1 1 1.5\r\n%x\r\n\r\n 2  3\t-2e-3 \r\n%\r\n") == small);
  }
  SUBCASE("plus signs, capital E, no digit before the point, leading zeros") {
    CHECK(parse(general + "2 3 2\n01 1 +1.5E+0\n2 3 -.002\n") == small);
  }
  SUBCASE("integers") {
    CHECK(parse("%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 1 -3\n2 1 +4\n") ==
          from(2, 2, {{0, 0, -3}, {1, 0, 4}}));
  }
  SUBCASE("no entries, zeros, the smallest numbers") {
    CHECK(parse(general + "2 2 0\n") == from(2, 2, {}));
    CHECK(parse(general + "2 2 1\n1 2 0\n") == from(2, 2, {{0, 1, 0}}));
    CHECK(parse(general + "1 1 1\n1 1 5e-324\n") == from(1, 1, {{0, 0, 5e-324}}));
  }
}

TEST_CASE("a kind of matrix that cannot be read passes, or the error does not say why") {
  const auto banner = [](const std::string& kind) {
    return error_of("%%MatrixMarket matrix " + kind + "\n1 1 1\n1 1 1\n");
  };
  const std::string expected =
      "; expected '%%MatrixMarket matrix coordinate real|integer general|symmetric'";
  CHECK(banner("array real general") ==
        "a.mtx:1: 'array' lists every entry of a dense matrix" + expected);
  CHECK(banner("list real general") == "a.mtx:1: 'list' is not a format" + expected);
  CHECK(banner("coordinate pattern symmetric") ==
        "a.mtx:1: 'pattern' has places without values" + expected);
  CHECK(banner("coordinate complex general") ==
        "a.mtx:1: 'complex' has values that are not real" + expected);
  CHECK(banner("coordinate double general") ==
        "a.mtx:1: 'double' is not a kind of value" + expected);
  CHECK(banner("coordinate real skew-symmetric") ==
        "a.mtx:1: 'skew-symmetric' is not read: it cannot be positive definite and real" +
            expected);
  CHECK_FALSE(banner("coordinate complex hermitian").empty());
  CHECK(banner("coordinate real upper") == "a.mtx:1: 'upper' is not a symmetry" + expected);
}

TEST_CASE("a malformed line is accepted, or its error does not name file, line and reason") {
  const std::string shape =
      "expected '%%MatrixMarket matrix coordinate real|integer general|symmetric'";
  // clang-format off
  CHECK(error_of("") == "a.mtx:0: is empty; " + shape);
  CHECK(error_of("2 2 1\n1 1 1\n") == "a.mtx:1: " + shape + ", found '2 2 1'");
  CHECK(error_of("%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 1\n") == "a.mtx:1: " + shape + ", found '%MatrixMarket matrix coordinate real general'");
  CHECK(error_of("%%MatrixMarket vector coordinate real general\n1 1 1\n1 1 1\n") == "a.mtx:1: " + shape + ", found '%%MatrixMarket vector coordinate real general'");
  CHECK(error_of(general) == "a.mtx:1: the file ends without its line 'ROWS COLUMNS ENTRIES'");
  CHECK(error_of(general + "% x\n") == "a.mtx:2: the file ends without its line 'ROWS COLUMNS ENTRIES'");
  CHECK(error_of(general + "2 2\n") == "a.mtx:2: expected 'ROWS COLUMNS ENTRIES', found '2 2'");
  CHECK(error_of(general + "2 2 1 1\n") == "a.mtx:2: expected 'ROWS COLUMNS ENTRIES', found '2 2 1 1'");
  CHECK(error_of(general + "x 2 1\n") == "a.mtx:2: row count 'x' is not a whole number of 64 bits");
  CHECK(error_of(general + "2 -2 1\n") == "a.mtx:2: column count '-2' is not a whole number of 64 bits");
  CHECK(error_of(general + "2 2 1.0\n") == "a.mtx:2: entry count '1.0' is not a whole number of 64 bits");
  CHECK(error_of(general + "0 2 0\n") == "a.mtx:2: row count 0 is not in 1..134217728");
  CHECK(error_of(general + "2 134217729 0\n") == "a.mtx:2: column count 134217729 is not in 1..134217728");
  CHECK(error_of(symmetric + "2 3 0\n") == "a.mtx:2: a symmetric matrix of 2 x 3 is not square");
  CHECK(error_of(general + "2 2 1\n0 1 1\n") == "a.mtx:3: row 0 is not in 1..2");
  CHECK(error_of(general + "2 2 1\n1 3 1\n") == "a.mtx:3: column 3 is not in 1..2");
  CHECK(error_of(general + "2 2 1\n1 1\n") == "a.mtx:3: expected 'ROW COLUMN VALUE', found '1 1'");
  CHECK(error_of(general + "2 2 1\n1 1 1 1\n") == "a.mtx:3: expected 'ROW COLUMN VALUE', found '1 1 1 1'");
  CHECK(error_of(general + "2 2 1\n1.5 1 1\n") == "a.mtx:3: row '1.5' is not a whole number of 64 bits");
  CHECK(error_of(general + "2 2 1\n1 1 one\n") == "a.mtx:3: value 'one' is not a number");
  CHECK(error_of(general + "2 2 1\n1 1 1.5x\n") == "a.mtx:3: value '1.5x' is not a number");
  CHECK(error_of(general + "2 2 1\n1 1 +-1\n") == "a.mtx:3: value '+-1' is not a number");
  CHECK(error_of(general + "2 2 1\n1 1 0x10\n") == "a.mtx:3: value '0x10' is not a number");
  CHECK(error_of("%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 1.5\n") == "a.mtx:3: value '1.5' in a file of integers is not a whole number");
  CHECK(error_of(symmetric + "2 2 1\n1 2 1\n") == "a.mtx:3: entry above the diagonal of a symmetric matrix, which is listed on and below it");
  // clang-format on
}

TEST_CASE("a value that is no number of float64 gets into the matrix") {
  const auto value = [](const std::string& v) {
    return error_of(general + "1 1 1\n1 1 " + v + "\n");
  };
  CHECK(value("nan") == "a.mtx:3: value 'nan' is not finite");
  CHECK(value("-inf") == "a.mtx:3: value '-inf' is not finite");
  CHECK(value("Infinity") == "a.mtx:3: value 'Infinity' is not finite");
  CHECK(value("1e309") == "a.mtx:3: value '1e309' does not fit float64");
  CHECK(value("1e-400") == "a.mtx:3: value '1e-400' does not fit float64");
}

TEST_CASE("a number too large for its type wraps to a small one") {
  CHECK(error_of(general + "4294967297 2 0\n") ==
        "a.mtx:2: row count 4294967297 is not in 1..134217728");
  CHECK(error_of(general + "2 2 1\n4294967297 1 1\n") == "a.mtx:3: row 4294967297 is not in 1..2");
  CHECK(error_of(general + "2 2 1\n18446744073709551617 1 1\n") ==
        "a.mtx:3: row '18446744073709551617' is not a whole number of 64 bits");
}

TEST_CASE("a count that does not agree, or a cut file, passes") {
  CHECK(error_of(general + "2 2 2\n1 1 1\n") ==
        "a.mtx:3: the file ends after 1 of 2 declared entries");
  CHECK(error_of(general + "2 2 1\n1 1 1\n2 2 1\n") == "a.mtx:4: more entries than the 1 declared");
  CHECK(error_of(general + "2 2 4294967296\n1 1 1\n") ==
        "a.mtx:3: the file ends after 1 of 4294967296 declared entries");
  CHECK(error_of(general + "2 2 1\n1 1 12") ==
        "a.mtx:3: the file ends inside this line: its last value may be cut (if it is whole, end "
        "its last line)");
}

TEST_CASE("an entry listed twice counts in some way or other") {
  CHECK(error_of(general + "2 2 3\n1 2 1\n% x\n2 2 5\n1 2 3\n") ==
        "a.mtx:6: entry (1, 2) is listed before, in line 3");
  CHECK(error_of(symmetric + "2 2 3\n2 1 1\n2 2 5\n2 1 1\n") ==
        "a.mtx:5: entry (2, 1) is listed before, in line 3");
}

TEST_CASE("an entry listed twice whose sum overflows is an error without file and line") {
  CHECK(error_of(general + "1 1 2\n1 1 1.7e308\n1 1 1.7e308\n") ==
        "a.mtx:4: entry (1, 1) is listed before, in line 3");
}

TEST_CASE("a header or a list over the limits takes memory before it is refused") {
  CHECK(error_of(general + "2 2 4294967297\n") ==
        "a.mtx:2: entry count 4294967297 is over the limit of 4294967296");
  const auto limited = [](const std::string& text) {
    std::istringstream in(text);
    return input_error([&] { read_matrix_market(in, "a.mtx", {.size = 9, .entries = 2}); });
  };
  CHECK(limited(general + "9 9 2\n9 9 1\n1 9 1\n").empty());
  CHECK(limited(general + "10 1 0\n") == "a.mtx:2: row count 10 is not in 1..9");
  CHECK(limited(general + "1 10 0\n") == "a.mtx:2: column count 10 is not in 1..9");
  CHECK(limited(general + "9 9 3\n") == "a.mtx:2: entry count 3 is over the limit of 2");
}

TEST_CASE("a limit over the most that a matrix may have lets a header pass, and blames an entry") {
  std::istringstream in(general + "200000000 200000000 1\n1 1 1\n");
  CHECK(input_error([&] { read_matrix_market(in, "a.mtx", {.size = std::size_t{1} << 28}); }) ==
        "a.mtx:2: row count 200000000 is not in 1..134217728");
}

TEST_CASE("a missing file, a folder or a binary file is a crash or an empty matrix") {
  const TempDir dir;
  const std::string at = (dir / "x").string();
  CHECK(input_error([&] { read_matrix_market(dir / "x"); }) ==
        at + ":0: cannot open: No such file or directory");
  put(dir / "x", general + std::string("1 1 1\n1 1 \0\n", 12));
  CHECK(input_error([&] { read_matrix_market(dir / "x"); }) ==
        at + ":3: NUL byte: this is not a text file");
  put(dir / "x", general + "2 3 2\n1 1 1.5\n2 3 -2e-3\n");
  CHECK(read_matrix_market(dir / "x") == small);
  CHECK(input_error([&] {
          read_matrix_market(std::filesystem::temp_directory_path());
        }).ends_with(": is a directory, not a file"));
}
