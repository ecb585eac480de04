// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <aatgs/integrations/linear/streamed_rows.hpp>
#include <cstdint>
#include <vector>

namespace aatgs::linear {

/// Groups of 32 entries in a slice that begins with `row`.
std::uint32_t slice_groups(const CsrMatrix& matrix, std::uint32_t row, std::uint32_t lanes);

/// Threads for each row: one for short rows, more for long ones and where rows are of such
/// different length that padding would cost more than the entries.
std::uint32_t choose_lanes(const CsrMatrix& matrix);

/// An order of rows in which those of a slice are of about the same length, so that slices have
/// little padding, and near rows stay near: row `order[i]` becomes row i. Empty if none
/// is much better than the order as it is.
std::vector<std::uint32_t> even_order(const CsrMatrix& matrix);

/// The matrix with its rows, and columns, in that order.
CsrMatrix renumber(const CsrMatrix& matrix, const std::vector<std::uint32_t>& order);

/// Shares out the slices of a matrix among `parts` blocks by the bytes that they move an iteration:
/// [parts + 1] ascending slice numbers, so that a part is in one piece. Parts may be empty.
std::vector<std::uint32_t> share_slices(const CsrMatrix& matrix, std::uint32_t lanes,
                                        std::uint32_t parts);

/// Number of slices of `rows` rows.
constexpr std::uint32_t slice_count(std::uint64_t rows, std::uint32_t lanes) {
  return static_cast<std::uint32_t>((rows * lanes + slice_entries - 1) / slice_entries);
}

/// Shares them out in runs of 2^(what this returns) slices, see `Dealt`: long enough that a row's
/// neighbors are mostly in its run, short enough that the parts are of about the same size.
std::uint32_t choose_run_shift(std::uint32_t slices, std::uint32_t lanes, std::uint32_t parts);

/// A matrix in slices; see `StreamedRows`.
template <class Column>
struct StreamedArrays {
  std::vector<RowSlice> slices;
  std::vector<double> values;
  std::vector<Column> columns;
  std::vector<Column> diagonals;
};
/// For both kinds of columns: `std::int16_t` and `std::uint32_t`.
template <class Column>
StreamedArrays<Column> stream_rows(const CsrMatrix& matrix, std::uint32_t lanes);

/// A matrix, or some rows of one, in slices; see `SlicedRows`.
template <class Column>
struct SlicedArrays {
  std::vector<double> values;
  std::vector<Column> columns;
  std::vector<std::uint32_t> offsets;  ///< of slices; a run of rows has one more than slices

  /// Appends the rows `first .. last`, offsets counted from here on. `code(row, column)` is how a
  /// column is written, `pad(row)` what padding says instead.
  template <class Code, class Pad>
  void append(const CsrMatrix& matrix, std::uint32_t lanes, std::uint32_t first, std::uint32_t last,
              Code code, Pad pad) {
    const std::size_t begin = values.size();
    const std::uint32_t slice_rows = slice_entries / lanes;
    offsets.push_back(0);
    for (std::uint32_t row = first; row < last; row += slice_rows) {
      const std::size_t slice = values.size();
      const std::uint32_t groups = slice_groups(matrix, row, lanes);
      values.resize(slice + std::size_t{groups} * slice_entries, 0.0);
      columns.resize(values.size());
      for (std::uint32_t i = 0; i < slice_rows; ++i) {
        const std::uint64_t row_begin = row + i < last ? matrix.offsets()[row + i] : 0;
        const std::uint32_t length = row + i < last ? matrix.row_length(row + i) : 0;
        for (std::uint32_t j = 0; j < groups * lanes; ++j) {
          const std::size_t at =
              slice + std::size_t{j / lanes} * slice_entries + i * lanes + j % lanes;
          if (j < length) values[at] = matrix.values()[row_begin + j];
          columns[at] = j < length ? code(row + i, matrix.columns()[row_begin + j]) : pad(row + i);
        }
      }
      offsets.push_back(static_cast<std::uint32_t>((values.size() - begin) / slice_entries));
    }
  }
};

}  // namespace aatgs::linear
