// SPDX-License-Identifier: Apache-2.0
#include "slicing.hpp"

#include <algorithm>

namespace aatgs::linear {

std::uint32_t slice_groups(const CsrMatrix& matrix, std::uint32_t row, std::uint32_t lanes) {
  const std::uint32_t end = std::min(row + slice_entries / lanes, matrix.row_count());
  std::uint32_t longest = 0;
  for (; row < end; ++row) longest = std::max(longest, matrix.row_length(row));
  return (longest + lanes - 1) / lanes;
}

namespace {

std::uint64_t padded_entries(const CsrMatrix& matrix, std::uint32_t lanes) {
  std::uint64_t groups = 0;
  for (std::uint32_t row = 0; row < matrix.row_count(); row += slice_entries / lanes) {
    groups += slice_groups(matrix, row, lanes);
  }
  return groups * slice_entries;
}

}  // namespace

std::uint32_t choose_lanes(const CsrMatrix& matrix) {
  constexpr std::uint64_t long_row = 24;  // one thread walks about three batches of loads
  const std::uint64_t mean = matrix.entry_count() / matrix.row_count();
  std::uint32_t lanes = 1;
  while (lanes < slice_entries && mean > long_row * lanes) lanes *= 2;
  // Padding may not double a matrix that has more than a few entries a row.
  const std::uint64_t most = 2 * matrix.entry_count() + std::uint64_t{8} * matrix.row_count();
  while (lanes < slice_entries && padded_entries(matrix, lanes) > most) lanes *= 2;
  return lanes;
}

std::vector<std::uint32_t> share_slices(const CsrMatrix& matrix, std::uint32_t lanes,
                                        std::uint32_t parts) {
  const std::uint32_t slice_rows = slice_entries / lanes;
  const std::uint32_t slices = slice_count(matrix.row_count(), lanes);
  std::vector<std::uint64_t> bytes_before(slices + std::size_t{1}, 0);
  for (std::uint32_t s = 0; s < slices; ++s) {
    constexpr std::uint64_t entry_bytes = 10;
    constexpr std::uint64_t row_bytes = 72;  // vectors
    const std::uint64_t entries =
        std::uint64_t{slice_entries} * slice_groups(matrix, s * slice_rows, lanes);
    bytes_before[s + std::size_t{1}] =
        bytes_before[s] + entries * entry_bytes + slice_rows * row_bytes;
  }
  std::vector<std::uint32_t> bounds{0};
  for (std::uint64_t part = 1; part <= parts; ++part) {
    // The first boundary at or above an even share.
    const std::uint64_t share = bytes_before.back() / parts * part;
    const auto above = std::lower_bound(bytes_before.begin(), bytes_before.end(), share);
    bounds.push_back(static_cast<std::uint32_t>(above - bytes_before.begin()));
  }
  bounds.back() = slices;
  return bounds;
}

}  // namespace aatgs::linear
