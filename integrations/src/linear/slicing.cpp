// SPDX-License-Identifier: Apache-2.0
#include "slicing.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace aatgs::linear {

std::uint32_t slice_groups(const CsrMatrix& matrix, std::uint32_t row, std::uint32_t lanes) {
  const std::uint32_t end = std::min(row + slice_entries / lanes, matrix.row_count());
  std::uint32_t longest = 0;
  for (; row < end; ++row) longest = std::max(longest, matrix.row_length(row));
  return (longest + lanes - 1) / lanes;
}

namespace {

/// Of the rows `first .. last`.
std::uint64_t padded_entries(const CsrMatrix& matrix, std::uint32_t lanes, std::uint32_t first,
                             std::uint32_t last) {
  std::uint64_t groups = 0;
  for (; first < last; first += slice_entries / lanes) groups += slice_groups(matrix, first, lanes);
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
  while (lanes < slice_entries && padded_entries(matrix, lanes, 0, matrix.row_count()) > most)
    lanes *= 2;
  return lanes;
}

std::vector<std::uint32_t> even_order(const CsrMatrix& matrix) {
  constexpr std::uint32_t window = 1024;
  std::vector<std::uint32_t> order(matrix.row_count());
  std::iota(order.begin(), order.end(), 0U);
  bool changed = false;
  for (std::uint32_t first = 0; first < order.size(); first += window) {
    const std::uint32_t last = std::min(first + window, matrix.row_count());
    const std::uint64_t entries = matrix.offsets()[last] - matrix.offsets()[first];
    if (padded_entries(matrix, 1, first, last) * 10 <= entries * 11) continue;
    changed = true;
    // To and fro, so that blocks which are dealt every so many slices get short and long ones.
    const bool ascending = first / window % 2 == 1;
    std::stable_sort(order.begin() + first, order.begin() + last,
                     [&](std::uint32_t a, std::uint32_t b) {
                       const std::uint32_t lengths[] = {matrix.row_length(a), matrix.row_length(b)};
                       return ascending ? lengths[0] < lengths[1] : lengths[0] > lengths[1];
                     });
  }
  if (!changed) order.clear();
  return order;
}

CsrMatrix renumber(const CsrMatrix& matrix, const std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> place(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::uint32_t> columns;
  std::vector<double> values;
  columns.reserve(matrix.entry_count());
  values.reserve(matrix.entry_count());
  std::vector<std::pair<std::uint32_t, double>> entries;
  for (const std::uint32_t row : order) {
    entries.clear();
    for (std::uint64_t at = matrix.offsets()[row]; at < matrix.offsets()[row + std::size_t{1}];
         ++at) {
      entries.emplace_back(place[matrix.columns()[at]], matrix.values()[at]);
    }
    std::sort(entries.begin(), entries.end());
    for (const auto& [column, value] : entries) {
      columns.push_back(column);
      values.push_back(value);
    }
    offsets.push_back(columns.size());
  }
  return {matrix.column_count(), std::move(offsets), std::move(columns), std::move(values)};
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

std::uint32_t choose_run_shift(std::uint32_t slices, std::uint32_t lanes, std::uint32_t parts) {
  constexpr std::uint32_t most_rows = 512;
  constexpr std::uint64_t least_runs = 64;  // of each part, if rows suffice
  std::uint32_t shift = 0;
  while ((2U << shift) * (slice_entries / lanes) <= most_rows &&
         slices / (std::uint64_t{2} << shift) >= least_runs * parts) {
    ++shift;
  }
  return shift;
}

namespace {

std::int64_t diagonal_of(const CsrMatrix& matrix, std::uint32_t row, std::uint64_t entry) {
  return static_cast<std::int64_t>(matrix.columns()[entry]) - row;
}

/// The diagonals that the rows `first .. last` have entries on, ascending.
std::vector<std::int32_t> diagonals_of(const CsrMatrix& matrix, std::uint32_t first,
                                       std::uint32_t last) {
  std::vector<std::int32_t> all;
  for (std::uint32_t row = first; row < last; ++row) {
    for (std::uint64_t at = matrix.offsets()[row]; at < matrix.offsets()[row + std::size_t{1}];
         ++at) {
      all.push_back(static_cast<std::int32_t>(diagonal_of(matrix, row, at)));
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void code_column(std::uint32_t row, std::uint32_t column, std::int16_t& code) {
  code = static_cast<std::int16_t>(static_cast<std::int64_t>(column) - row);
}
void code_column(std::uint32_t, std::uint32_t column, std::uint32_t& code) {
  code = column;
}

template <class Column>
class Streamer {
 public:
  Streamer(const CsrMatrix& matrix, std::uint32_t lanes) : matrix_(matrix), lanes_(lanes) {}

  StreamedArrays<Column> run() {
    const std::uint32_t rows = matrix_.row_count();
    const std::uint32_t slice_rows = slice_entries / lanes_;
    for (std::uint32_t first = 0; first < rows; first += slice_rows) {
      const std::uint32_t last = std::min(first + slice_rows, rows);
      const std::uint32_t groups = slice_groups(matrix_, first, lanes_);
      const auto diagonals =
          lanes_ == 1 ? diagonals_of(matrix_, first, last) : std::vector<std::int32_t>{};
      const bool by_diagonals =
          lanes_ == 1 && diagonals.size() * sizeof(double) <=
                             std::size_t{groups} * (sizeof(double) + sizeof(Column));
      if (by_diagonals) {
        add_diagonals(first, last, diagonals);
      } else {
        add_rows(first, last, groups);
      }
    }
    out_.slices.push_back({value_groups(), 0});
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::uint32_t value_groups() const {
    return static_cast<std::uint32_t>(out_.values.size() / slice_entries);
  }

  void add_diagonals(std::uint32_t first, std::uint32_t last,
                     const std::vector<std::int32_t>& diagonals) {
    const auto next = static_cast<std::uint32_t>(out_.diagonals.size());
    const auto [known, is_new] = known_.try_emplace(diagonals, next);
    if (is_new) {
      for (const std::int32_t d : diagonals) out_.diagonals.push_back(static_cast<Column>(d));
    }
    out_.slices.push_back({value_groups(), RowSlice::diagonal | known->second});
    const std::size_t begin = out_.values.size();
    out_.values.resize(begin + diagonals.size() * slice_entries, 0.0);
    for (std::uint32_t row = first; row < last; ++row) {
      auto group = diagonals.begin();
      for (std::uint64_t at = matrix_.offsets()[row]; at < matrix_.offsets()[row + std::size_t{1}];
           ++at) {
        while (*group != diagonal_of(matrix_, row, at)) ++group;
        const auto place = static_cast<std::size_t>(group - diagonals.begin()) * slice_entries;
        out_.values[begin + place + (row - first)] = matrix_.values()[at];
      }
    }
  }

  void add_rows(std::uint32_t first, std::uint32_t last, std::uint32_t groups) {
    const auto first_column = static_cast<std::uint32_t>(out_.columns.size() / slice_entries);
    out_.slices.push_back({value_groups(), first_column});
    const std::size_t begin = out_.values.size();
    const std::size_t column_begin = out_.columns.size();
    out_.values.resize(begin + std::size_t{groups} * slice_entries, 0.0);
    out_.columns.resize(column_begin + std::size_t{groups} * slice_entries);
    for (std::uint32_t row = first; row < last; ++row) {
      const std::uint32_t length = matrix_.row_length(row);
      for (std::uint32_t j = 0; j < groups * lanes_; ++j) {
        const std::size_t at =
            std::size_t{j / lanes_} * slice_entries + (row - first) * lanes_ + j % lanes_;
        const std::uint64_t entry = matrix_.offsets()[row] + j;
        if (j < length) out_.values[begin + at] = matrix_.values()[entry];
        // Padding reads the row's own entry, which is in the cache.
        code_column(row, j < length ? matrix_.columns()[entry] : row,
                    out_.columns[column_begin + at]);
      }
    }
  }

  const CsrMatrix& matrix_;
  std::uint32_t lanes_;
  StreamedArrays<Column> out_;
  std::map<std::vector<std::int32_t>, std::uint32_t> known_;  // lists of diagonals, each kept once
};

}  // namespace

template <class Column>
StreamedArrays<Column> stream_rows(const CsrMatrix& matrix, std::uint32_t lanes) {
  return Streamer<Column>(matrix, lanes).run();
}
template StreamedArrays<std::int16_t> stream_rows(const CsrMatrix&, std::uint32_t);
template StreamedArrays<std::uint32_t> stream_rows(const CsrMatrix&, std::uint32_t);

}  // namespace aatgs::linear
