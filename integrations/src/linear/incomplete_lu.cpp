// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/incomplete_lu.hpp>
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace aatgs::linear {
namespace {

constexpr std::uint64_t nowhere = ~std::uint64_t{0};

/// Place of each row's diagonal entry.
std::vector<std::uint64_t> find_diagonal(const CsrMatrix& a) {
  std::vector<std::uint64_t> diagonal(a.row_count());
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    const auto begin = a.columns().begin() + static_cast<std::ptrdiff_t>(a.offsets()[i]);
    const auto end = begin + a.row_length(i);
    const auto at = std::lower_bound(begin, end, i);
    if (at == end || *at != i) {
      throw InputError("incomplete LU of a matrix whose row " + std::to_string(i) +
                       " has no diagonal entry: add one, or reorder the rows");
    }
    diagonal[i] = static_cast<std::uint64_t>(at - a.columns().begin());
  }
  return diagonal;
}

/// The entries of A turned into those of L below the diagonal and of U from there on.
std::vector<double> eliminate(const CsrMatrix& a, const std::vector<std::uint64_t>& diagonal) {
  std::vector<double> values(a.values().begin(), a.values().end());
  std::vector<std::uint64_t> place(a.row_count(), nowhere);  // of the row's entries, by column
  const auto columns = a.columns();
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    const std::uint64_t begin = a.offsets()[i];
    const std::uint64_t end = a.offsets()[i + std::size_t{1}];
    for (std::uint64_t at = begin; at < end; ++at) place[columns[at]] = at;
    for (std::uint64_t at = begin; at < diagonal[i]; ++at) {
      const std::uint32_t k = columns[at];
      values[at] /= values[diagonal[k]];
      for (std::uint64_t up = diagonal[k] + 1; up < a.offsets()[k + std::size_t{1}]; ++up) {
        const std::uint64_t to = place[columns[up]];
        if (to != nowhere) values[to] -= values[at] * values[up];
      }
    }
    for (std::uint64_t at = begin; at < end; ++at) place[columns[at]] = nowhere;
    const double pivot = values[diagonal[i]];
    if (pivot == 0 || !std::isfinite(pivot)) {
      throw InputError("incomplete LU breaks down: the pivot of row " + std::to_string(i) +
                       " becomes " + std::to_string(pivot) + "; give the matrix a larger diagonal");
    }
  }
  return values;
}

}  // namespace

IncompleteFactors incomplete_lu(const CsrMatrix& a) {
  if (a.row_count() != a.column_count()) {
    throw InputError("incomplete LU of a matrix of " + std::to_string(a.row_count()) + " x " +
                     std::to_string(a.column_count()) + ": it must be square");
  }
  const std::vector<std::uint64_t> diagonal = find_diagonal(a);
  const std::vector<double> values = eliminate(a, diagonal);
  std::vector<std::uint64_t> offsets[2] = {{0}, {0}};
  std::vector<std::uint32_t> columns[2];
  std::vector<double> parts[2];
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    for (std::uint64_t at = a.offsets()[i]; at < a.offsets()[i + std::size_t{1}]; ++at) {
      const std::size_t part = at < diagonal[i] ? 0 : 1;
      columns[part].push_back(a.columns()[at]);
      parts[part].push_back(values[at]);
    }
    columns[0].push_back(i);
    parts[0].push_back(1);
    for (std::size_t part : {0U, 1U}) offsets[part].push_back(columns[part].size());
  }
  const std::size_t n = a.row_count();
  return {CsrMatrix(n, std::move(offsets[0]), std::move(columns[0]), std::move(parts[0])),
          CsrMatrix(n, std::move(offsets[1]), std::move(columns[1]), std::move(parts[1]))};
}

}  // namespace aatgs::linear
