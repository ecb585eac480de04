// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace aatgs::linear {
namespace {

std::string place(std::uint64_t row, std::uint64_t column) {
  return "(" + std::to_string(row) + ", " + std::to_string(column) + ")";
}

void check_size(const char* what, std::size_t size) {
  if (size < 1 || size > max_matrix_size) {
    throw InputError(std::string("a matrix of ") + std::to_string(size) + " " + what +
                     ": must be in 1.." + std::to_string(max_matrix_size));
  }
}

/// Adds up entries of one place and closes the gaps that this leaves. Rows are sorted by column.
void merge_duplicates(std::vector<std::uint64_t>& offsets, std::vector<std::uint32_t>& columns,
                      std::vector<double>& values) {
  std::uint64_t out = 0;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    const std::uint64_t row_out = out;
    const std::uint64_t end = offsets[i + 1];
    for (std::uint64_t at = begin; at < end; ++at) {
      if (out > row_out && columns[out - 1] == columns[at]) {
        values[out - 1] += values[at];
      } else {
        columns[out] = columns[at];
        values[out++] = values[at];
      }
    }
    begin = end;
    offsets[i + 1] = out;
  }
  columns.resize(out);
  values.resize(out);
}

}  // namespace

CsrMatrix::CsrMatrix(std::size_t row_count, std::size_t column_count,
                     std::span<const Triplet> entries)
    : column_count_(static_cast<std::uint32_t>(column_count)) {
  check_size("rows", row_count);
  check_size("columns", column_count);
  offsets_.assign(row_count + 1, 0);
  // Sorted by column, then put into rows in that order: each row comes out sorted, and entries of
  // one place stay in the order given.
  std::vector<std::uint64_t> column_next(column_count + 1, 0);
  for (const Triplet& e : entries) {
    if (e.row >= row_count || e.column >= column_count) {
      throw InputError("entry " + place(e.row, e.column) + " is outside a matrix of " +
                       std::to_string(row_count) + " x " + std::to_string(column_count));
    }
    ++offsets_[e.row + std::size_t{1}];
    ++column_next[e.column + std::size_t{1}];
  }
  std::partial_sum(offsets_.begin(), offsets_.end(), offsets_.begin());
  std::partial_sum(column_next.begin(), column_next.end(), column_next.begin());
  std::vector<std::uint64_t> by_column(entries.size());
  for (std::uint64_t i = 0; i < entries.size(); ++i)
    by_column[column_next[entries[i].column]++] = i;

  columns_.resize(entries.size());
  values_.resize(entries.size());
  std::vector<std::uint64_t> next(offsets_.begin(), offsets_.end() - 1);
  for (const std::uint64_t i : by_column) {
    const std::uint64_t at = next[entries[i].row]++;
    columns_[at] = entries[i].column;
    values_[at] = entries[i].value;
  }
  merge_duplicates(offsets_, columns_, values_);
  for (std::uint32_t i = 0; i < row_count; ++i) {
    for (std::uint64_t at = offsets_[i]; at < offsets_[i + 1]; ++at) {
      if (!std::isfinite(values_[at])) {
        throw InputError("entry " + place(i, columns_[at]) + " is not a finite number");
      }
    }
  }
}

CsrMatrix::CsrMatrix(std::size_t column_count, std::vector<std::uint64_t> offsets,
                     std::vector<std::uint32_t> columns, std::vector<double> values)
    : column_count_(static_cast<std::uint32_t>(column_count)),
      offsets_(std::move(offsets)),
      columns_(std::move(columns)),
      values_(std::move(values)) {
  check_size("rows", offsets_.empty() ? 0 : offsets_.size() - 1);
  check_size("columns", column_count);
  if (offsets_.front() != 0 || offsets_.back() != values_.size() ||
      columns_.size() != values_.size() || !std::is_sorted(offsets_.begin(), offsets_.end())) {
    throw InputError("row offsets must ascend from 0 to the number of values and of columns (" +
                     std::to_string(values_.size()) + " and " + std::to_string(columns_.size()) +
                     ")");
  }
  for (std::uint64_t i = 0; i + 1 < offsets_.size(); ++i) {
    for (std::uint64_t at = offsets_[i]; at < offsets_[i + 1]; ++at) {
      if (columns_[at] >= column_count) {
        throw InputError("entry " + place(i, columns_[at]) + " is outside a matrix of " +
                         std::to_string(column_count) + " columns");
      }
      if (at > offsets_[i] && columns_[at - 1] >= columns_[at]) {
        throw InputError("the columns of row " + std::to_string(i) + " do not ascend at column " +
                         std::to_string(columns_[at]));
      }
      if (!std::isfinite(values_[at])) {
        throw InputError("entry " + place(i, columns_[at]) + " is not a finite number");
      }
    }
  }
}

void CsrMatrix::multiply(std::span<const double> x, std::span<double> y) const {
  if (x.size() != column_count() || y.size() != row_count()) {
    throw UseError("multiplying a matrix of " + std::to_string(row_count()) + " x " +
                   std::to_string(column_count()) + " with a vector of " +
                   std::to_string(x.size()) + " into one of " + std::to_string(y.size()) +
                   ": the sizes do not fit");
  }
  for (std::uint32_t i = 0; i < row_count(); ++i) {
    double sum = 0;
    for (std::uint64_t at = offsets_[i]; at < offsets_[i + std::size_t{1}]; ++at) {
      sum += values_[at] * x[columns_[at]];
    }
    y[i] = sum;
  }
}

std::optional<Triplet> CsrMatrix::asymmetry() const {
  const bool square = row_count() == column_count();
  // Rows are walked in order, so the mirror images in any row j are met in its own order:
  // `next[j]` is the one that must come next.
  std::vector<std::uint64_t> next(offsets_.begin(), offsets_.end() - 1);
  for (std::uint32_t i = 0; i < row_count(); ++i) {
    for (std::uint64_t at = offsets_[i]; at < offsets_[i + std::size_t{1}]; ++at) {
      const std::uint32_t j = columns_[at];
      if (!square) return Triplet{i, j, values_[at]};
      const std::uint64_t mirror = next[j]++;
      if (mirror >= offsets_[j + std::size_t{1}] || columns_[mirror] != i ||
          values_[mirror] != values_[at]) {
        return Triplet{i, j, values_[at]};
      }
    }
  }
  return std::nullopt;
}

}  // namespace aatgs::linear
