// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/matrix_market.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <new>
#include <numeric>
#include <string_view>

#include "../text_input.hpp"

namespace aatgs::linear {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

class Parser {
 public:
  Parser(std::istream& in, const std::string& name, const MatrixLimits& limits)
      : lines_(in, name), limits_(limits) {}

  CsrMatrix run();

 private:
  void take_banner();
  void take_sizes();
  void take_entry(const std::vector<std::string_view>& words);
  bool next_content();
  std::uint64_t number(std::string_view word, const char* what) const;
  std::uint64_t size(std::string_view word, const char* what) const;
  std::uint32_t index(std::string_view word, const char* what, std::uint64_t size) const;
  double value(std::string_view word) const;
  void check_count() const;
  [[noreturn]] void fail_at_duplicate(const std::string& if_there_is_none) const;

  LineReader lines_;
  MatrixLimits limits_;
  bool integer_ = false;
  bool symmetric_ = false;
  std::uint64_t rows_ = 0;
  std::uint64_t columns_ = 0;
  std::uint64_t declared_ = 0;
  std::vector<Triplet> entries_;  // as listed
  std::vector<std::size_t> lines_of_entries_;
};

/// Goes to the next line that is neither blank nor a comment; false at the end of the file.
bool Parser::next_content() {
  while (lines_.next()) {
    const auto& words = lines_.words();
    if (!words.empty() && words[0][0] != '%') return true;
  }
  return false;
}

std::uint64_t Parser::number(std::string_view word, const char* what) const {
  const auto parsed = parse_number(word);
  if (!parsed) {
    lines_.fail(std::string(what) + " '" + printable(word) + "' is not a whole number of 64 bits");
  }
  return *parsed;
}

std::uint64_t Parser::size(std::string_view word, const char* what) const {
  const std::uint64_t parsed = number(word, what);
  const std::size_t most = std::min(limits_.size, max_matrix_size);
  if (parsed < 1 || parsed > most) {
    lines_.fail(std::string(what) + " " + std::to_string(parsed) + " is not in 1.." +
                std::to_string(most));
  }
  return parsed;
}

std::uint32_t Parser::index(std::string_view word, const char* what, std::uint64_t size) const {
  const std::uint64_t parsed = number(word, what);
  if (parsed < 1 || parsed > size) {
    lines_.fail(std::string(what) + " " + std::to_string(parsed) + " is not in 1.." +
                std::to_string(size));
  }
  return static_cast<std::uint32_t>(parsed - 1);
}

double Parser::value(std::string_view word) const {
  double parsed = 0;
  std::string_view digits = word;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, parsed);
  if (stop != end || error == std::errc::invalid_argument) {
    lines_.fail("value '" + printable(word) + "' is not a number");
  }
  if (error == std::errc::result_out_of_range) {
    lines_.fail("value '" + printable(word) + "' does not fit float64");
  }
  if (!std::isfinite(parsed)) lines_.fail("value '" + printable(word) + "' is not finite");
  if (integer_ && digits.find_first_not_of("-0123456789") != std::string_view::npos) {
    lines_.fail("value '" + printable(word) + "' in a file of integers is not a whole number");
  }
  return parsed;
}

void Parser::take_banner() {
  const std::string shape =
      "expected '%%MatrixMarket matrix coordinate real|integer general|symmetric'";
  if (!lines_.next()) throw_at(lines_.name(), 0, "is empty; " + shape);
  const auto& words = lines_.words();
  if (words.size() != 5 || lower(words[0]) != "%%matrixmarket" || lower(words[1]) != "matrix") {
    lines_.fail(shape + ", found '" + printable(lines_.line()) + "'");
  }
  const std::string format = lower(words[2]);
  const std::string field = lower(words[3]);
  const std::string symmetry = lower(words[4]);
  const auto refuse = [&](std::string_view word, const char* why) {
    lines_.fail("'" + printable(word) + "' " + why + "; " + shape);
  };
  if (format == "array") refuse(words[2], "lists every entry of a dense matrix");
  if (format != "coordinate") refuse(words[2], "is not a format");
  if (field == "pattern") refuse(words[3], "has places without values");
  if (field == "complex") refuse(words[3], "has values that are not real");
  if (field != "real" && field != "integer") refuse(words[3], "is not a kind of value");
  if (symmetry == "skew-symmetric" || symmetry == "hermitian") {
    refuse(words[4], "is not read: it cannot be positive definite and real");
  }
  if (symmetry != "general" && symmetry != "symmetric") refuse(words[4], "is not a symmetry");
  integer_ = field == "integer";
  symmetric_ = symmetry == "symmetric";
}

void Parser::take_sizes() {
  if (!next_content()) lines_.fail("the file ends without its line 'ROWS COLUMNS ENTRIES'");
  const auto& words = lines_.words();
  if (words.size() != 3) {
    lines_.fail("expected 'ROWS COLUMNS ENTRIES', found '" + printable(lines_.line()) + "'");
  }
  rows_ = size(words[0], "row count");
  columns_ = size(words[1], "column count");
  declared_ = number(words[2], "entry count");
  if (declared_ > limits_.entries) {
    lines_.fail("entry count " + std::to_string(declared_) + " is over the limit of " +
                std::to_string(limits_.entries));
  }
  if (symmetric_ && rows_ != columns_) {
    lines_.fail("a symmetric matrix of " + std::to_string(rows_) + " x " +
                std::to_string(columns_) + " is not square");
  }
}

void Parser::take_entry(const std::vector<std::string_view>& words) {
  if (words.size() != 3) {
    lines_.fail("expected 'ROW COLUMN VALUE', found '" + printable(lines_.line()) + "'");
  }
  if (entries_.size() == declared_) {
    lines_.fail("more entries than the " + std::to_string(declared_) + " declared");
  }
  const Triplet entry{index(words[0], "row", rows_), index(words[1], "column", columns_),
                      value(words[2])};
  if (symmetric_ && entry.column > entry.row) {
    lines_.fail("entry above the diagonal of a symmetric matrix, which is listed on and below it");
  }
  entries_.push_back(entry);
  lines_of_entries_.push_back(lines_.number());
}

void Parser::check_count() const {
  if (entries_.size() == declared_) {
    if (lines_.unterminated() && declared_ > 0) {
      lines_.fail(
          "the file ends inside this line: its last value may be cut (if it is whole, end "
          "its last line)");
    }
    return;
  }
  lines_.fail("the file ends after " + std::to_string(entries_.size()) + " of " +
              std::to_string(declared_) + " declared entries");
}

void Parser::fail_at_duplicate(const std::string& if_there_is_none) const {
  std::vector<std::size_t> order(entries_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto key = [&](std::size_t i) {
    return std::uint64_t{entries_[i].row} << 32 | entries_[i].column;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  const auto twice = std::adjacent_find(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) == key(b); });
  if (twice == order.end()) throw_at(lines_.name(), 0, if_there_is_none);
  const Triplet& entry = entries_[*twice];
  throw_at(lines_.name(), lines_of_entries_[twice[1]],
           "entry (" + std::to_string(entry.row + 1) + ", " + std::to_string(entry.column + 1) +
               ") is listed before, in line " + std::to_string(lines_of_entries_[*twice]));
}

CsrMatrix Parser::run() {
  take_banner();
  take_sizes();
  while (next_content()) take_entry(lines_.words());
  check_count();
  std::vector<Triplet> all = entries_;
  if (symmetric_) {
    for (const Triplet& e : entries_) {
      if (e.row != e.column) all.push_back({e.column, e.row, e.value});
    }
  }
  std::string reason = "the entries make no matrix";
  try {
    CsrMatrix matrix(rows_, columns_, all);
    if (matrix.entry_count() == all.size()) return matrix;
  } catch (const InputError& error) {
    // Each entry was checked, so this should be a sum of several that is not finite.
    reason = error.what();
  }
  fail_at_duplicate(reason);
}

}  // namespace

CsrMatrix read_matrix_market(std::istream& in, const std::string& name,
                             const MatrixLimits& limits) {
  try {
    return Parser(in, name, limits).run();
  } catch (const std::bad_alloc&) {
    throw_at(name, 0, "this matrix does not fit into the memory of this machine");
  }
}

CsrMatrix read_matrix_market(const std::filesystem::path& path, const MatrixLimits& limits) {
  std::ifstream in = open_input(path);
  return read_matrix_market(in, path.string(), limits);
}

}  // namespace aatgs::linear
