// SPDX-License-Identifier: Apache-2.0
// Any text is a matrix that keeps its promises, or an InputError.
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/matrix_market.hpp>
#include <cmath>
#include <sstream>

#include "fuzz.hpp"

using namespace aatgs::linear;
using aatgs::fuzz::require;

namespace {

constexpr MatrixLimits limits{.size = 1U << 14, .entries = 1U << 12};

void check_matrix(const CsrMatrix& a, bool symmetric) {
  require(a.row_count() >= 1 && a.row_count() <= limits.size, "rows outside the limits");
  require(a.column_count() >= 1 && a.column_count() <= limits.size, "columns outside the limits");
  require(a.entry_count() <= 2 * limits.entries, "more entries than the limit");
  require(a.columns().size() == a.entry_count() && a.offsets().front() == 0 &&
              a.offsets().back() == a.entry_count(),
          "rows out of place");
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    const std::uint64_t begin = a.offsets()[i];
    require(begin <= a.offsets()[i + std::size_t{1}], "rows that do not ascend");
    for (std::uint64_t at = begin; at < a.offsets()[i + std::size_t{1}]; ++at) {
      require(a.columns()[at] < a.column_count(), "a column outside the matrix");
      require(at == begin || a.columns()[at - 1] < a.columns()[at], "columns that do not ascend");
      require(std::isfinite(a.values()[at]), "a value that is not finite");
    }
  }
  require(!symmetric || !a.asymmetry(), "a symmetric file gave another matrix");
}

/// What the banner of a file that is accepted says last.
bool says_symmetric(const std::string& text) {
  const std::string line = text.substr(0, text.find_first_of("\r\n"));
  const std::size_t end = line.find_last_not_of(" \t");
  const std::size_t begin = line.find_last_of(" \t", end) + 1;
  return end - begin == std::string_view("symmetric").size() - 1;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::istringstream in(text);
  try {
    check_matrix(read_matrix_market(in, "a.mtx", limits), says_symmetric(text));
  } catch (const aatgs::InputError& error) {
    aatgs::fuzz::require_one_line(error.what());
    require(std::string_view(error.what()).starts_with("a.mtx:"), "an error without its file");
  }
  return 0;
}
