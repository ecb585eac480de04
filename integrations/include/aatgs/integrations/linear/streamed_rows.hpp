// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/gpu_loops.hpp>
#include <aatgs/integrations/linear/memory_hints.hpp>
#include <aatgs/integrations/linear/sliced_rows.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// How blocks share out the items of a matrix: in runs of 2^shift that are dealt in turn. So all
/// blocks work on the same neighborhood at a time, and what one reads of the vector the next ones
/// find in the GPU's cache.
struct Dealt {
  std::uint32_t shift;
  std::uint32_t blocks;
  std::uint32_t block;

  /// Items of this block among the first `total`.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t count(std::uint32_t total) const {
    const std::uint32_t runs = total >> shift;
    const std::uint32_t mine = runs / blocks + (block < runs % blocks ? 1 : 0);
    const std::uint32_t rest = block == runs % blocks ? total - (runs << shift) : 0;
    return (mine << shift) + rest;
  }
  /// The item that is number `i` of this block's.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t at(std::uint32_t i) const {
    const std::uint32_t run = i >> shift;
    return ((run * blocks + block) << shift) + (i - (run << shift));
  }
};

/// Where the entries of a slice are.
struct RowSlice {
  static constexpr std::uint32_t diagonal = 1U << 31;

  std::uint32_t first_group;  ///< of values; the slice ends where the next begins
  std::uint32_t columns;      ///< first group of columns; or `diagonal` + index into `diagonals`
};

/// A matrix that is read from memory in every iteration: slices as `SlicedRows` has them, but two
/// ways to write the columns. In a slice by diagonals (one thread a row only) all rows have the
/// column `row + diagonals[..]` in a group, zero where a row has no such entry: so much of a
/// matrix as comes from a regular grid needs next to no columns. Others have their own for each
/// entry. `Column` is std::int16_t, column minus row, if all of the matrix can be written so, else
/// std::uint32_t, the column (of diagonals: what to add to the row, modulo 2^32).
template <class Column>
struct StreamedRows {
  const RowSlice* slices;  ///< [slice count + 1]
  const double* values;
  const Column* columns;
  const Column* diagonals;
  std::uint32_t rows;
  std::uint32_t lane_shift;
};

namespace detail {

/// A slice's entries: groups `begin .. end`.
struct SliceReach {
  std::uint32_t begin, end, columns;

  [[nodiscard]] AATGS_HOST_DEVICE bool by_diagonals() const {
    return (columns & RowSlice::diagonal) != 0;
  }
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t first_column() const {
    return columns & ~RowSlice::diagonal;
  }
  /// What to add to a column as it is written.
  template <class Column>
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t base(std::uint32_t row) const {
    return sizeof(Column) == 2 || by_diagonals() ? row : 0;
  }
};

/// Of slice number `i` of a block; an empty one below 0.
AATGS_HOST_DEVICE AATGS_INLINE SliceReach reach_of(const RowSlice* slices, const Dealt& dealt,
                                                   std::int32_t i) {
  if (i < 0) return {};
  const std::uint32_t s = dealt.at(static_cast<std::uint32_t>(i));
  return {slices[s].first_group, slices[s + 1].first_group, slices[s].columns};
}

/// As 32 bits, with its sign if it has one.
AATGS_HOST_DEVICE inline std::uint32_t widened(std::int16_t column) {
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(column));
}
AATGS_HOST_DEVICE inline std::uint32_t widened(std::uint32_t column) {
  return column;
}

#if defined(__CUDACC__)
template <class Column>
__device__ AATGS_INLINE void announce_slice(const StreamedRows<Column>& matrix,
                                            const SliceReach& slice) {
  const std::size_t entries = std::size_t{slice.end - slice.begin} * slice_entries;
  if (entries == 0) return;
  announce_read(matrix.values + std::size_t{slice.begin} * slice_entries, entries * 8);
  if (slice.by_diagonals()) return;
  announce_read(matrix.columns + std::size_t{slice.first_column()} * slice_entries,
                entries * sizeof(Column));
}

/// The columns of one thread's share of up to `multiply_batch` groups, as they are written.
struct ColumnBatch {
  std::uint32_t columns[multiply_batch];
};

/// Asks for those from group `k` on.
template <class Column>
__device__ AATGS_INLINE ColumnBatch load_columns(const StreamedRows<Column>& matrix,
                                                 const SliceReach& slice, std::uint32_t k) {
  const std::size_t at = std::size_t{slice.first_column()} + (k - slice.begin);
  const bool diagonal = slice.by_diagonals();
  const Column* columns = diagonal
                              ? matrix.diagonals + at
                              : matrix.columns + (at * slice_entries + threadIdx.x % slice_entries);
  const std::uint32_t apart = diagonal ? 1 : slice_entries;
  ColumnBatch batch;
  AATGS_UNROLL
  for (std::uint32_t j = 0; j < multiply_batch; ++j) {
    batch.columns[j] = k + j < slice.end ? widened(__ldcs(columns + j * apart)) : 0;
  }
  return batch;
}

/// One thread's share of the product. With the columns at hand all it needs is asked for at once.
template <class Column>
__device__ AATGS_INLINE double multiply_batched(const StreamedRows<Column>& matrix,
                                                const SliceReach& slice, std::uint32_t k,
                                                const ColumnBatch& batch, std::uint32_t base,
                                                const double* x) {
  const double* at = matrix.values + (std::size_t{k} * slice_entries + threadIdx.x % slice_entries);
  double values[multiply_batch];
  double gathered[multiply_batch];
  AATGS_UNROLL
  for (std::uint32_t j = 0; j < multiply_batch; ++j) {
    const std::uint32_t column = base + batch.columns[j];
    const bool here = k + j < slice.end;
    values[j] = here ? __ldcs(at + j * slice_entries) : 0;
    gathered[j] = here && column < matrix.rows ? x[column] : 0;
  }
  double sum = 0;
  AATGS_UNROLL
  for (std::uint32_t j = 0; j < multiply_batch; ++j) sum += values[j] * gathered[j];
  return sum;
}
#endif

}  // namespace detail

/// Calls `use(i, row, sum)` with the product of row `row`, number `i` of this block's, once for
/// each of its rows, the last ones first; all threads of the block must call. `dealt` deals slices,
/// of which `count` are this block's.
template <class Group, class Column, class Use>
AATGS_HOST_DEVICE AATGS_INLINE void multiply_streamed(const Group& group,
                                                      const StreamedRows<Column>& matrix,
                                                      const Dealt& dealt, std::int32_t count,
                                                      const double* x, Use use) {
  const std::uint32_t slice_rows = slice_entries >> matrix.lane_shift;
#if defined(__CUDA_ARCH__)
  const std::uint32_t lane = group.block_rank() % slice_entries;
  const std::uint32_t place = lane >> matrix.lane_shift;
  const auto warps = static_cast<std::int32_t>(group.block_size() / slice_entries);
  std::int32_t i = count - 1 - static_cast<std::int32_t>(group.block_rank() / slice_entries);
  // A warp has one slice at work, the columns of the next one on their way, and another slice on
  // its way to the cache.
  detail::SliceReach now = detail::reach_of(matrix.slices, dealt, i);
  detail::SliceReach next = detail::reach_of(matrix.slices, dealt, i - warps);
  detail::SliceReach after = detail::reach_of(matrix.slices, dealt, i - 2 * warps);
  detail::ColumnBatch columns = detail::load_columns(matrix, now, now.begin);
  AATGS_NO_UNROLL
  for (; i >= 0; i -= warps) {
    if (lane == 0) detail::announce_slice(matrix, after);
    const detail::ColumnBatch coming = detail::load_columns(matrix, next, next.begin);
    const detail::SliceReach then = detail::reach_of(matrix.slices, dealt, i - 3 * warps);
    const std::uint32_t row = dealt.at(static_cast<std::uint32_t>(i)) * slice_rows + place;
    const std::uint32_t base = now.template base<Column>(row);
    double sum = detail::multiply_batched(matrix, now, now.begin, columns, base, x);
    AATGS_NO_UNROLL
    for (std::uint32_t k = now.begin + multiply_batch; k < now.end; k += multiply_batch) {
      const detail::ColumnBatch more = detail::load_columns(matrix, now, k);
      sum += detail::multiply_batched(matrix, now, k, more, base, x);
    }
    sum = detail::sum_of_row(sum, matrix.lane_shift);
    if ((lane & ((1U << matrix.lane_shift) - 1)) == 0 && row < matrix.rows) {
      use(static_cast<std::uint32_t>(i) * slice_rows + place, row, sum);
    }
    columns = coming;
    now = next;
    next = after;
    after = then;
  }
#else
  static_cast<void>(group);  // one thread a block
  for (std::int32_t i = count - 1; i >= 0; --i) {
    const detail::SliceReach slice = detail::reach_of(matrix.slices, dealt, i);
    const std::uint32_t first_row = dealt.at(static_cast<std::uint32_t>(i)) * slice_rows;
    for (std::uint32_t place = 0; place < slice_rows && first_row + place < matrix.rows; ++place) {
      const std::uint32_t row = first_row + place;
      double sum = 0;
      for (std::uint32_t k = slice.begin; k < slice.end; ++k) {
        const std::size_t at = std::size_t{slice.first_column() + (k - slice.begin)};
        for (std::uint32_t lane = place << matrix.lane_shift;
             lane < (place + 1) << matrix.lane_shift; ++lane) {
          const Column written = slice.by_diagonals() ? matrix.diagonals[at]
                                                      : matrix.columns[at * slice_entries + lane];
          const std::uint32_t column = slice.template base<Column>(row) + detail::widened(written);
          const double value = matrix.values[std::size_t{k} * slice_entries + lane];
          if (column < matrix.rows) sum += value * x[column];
        }
      }
      use(static_cast<std::uint32_t>(i) * slice_rows + place, row, sum);
    }
  }
#endif
}

}  // namespace aatgs::linear
