// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/gpu_loops.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// A matrix as the steps read it: rows in slices whose entries are interleaved, so that the 32
/// threads of a warp read neighboring words (sliced ELLPACK: Monakov, Lokhmotov & Avetisyan, HiPEAC
/// 2010; Kreutzer et al., SIAM J. Sci. Comput. 36, 2014).
///
/// A row has `lanes` = 2^lane_shift <= 32 threads, a slice 32 / lanes rows. Slice s holds
/// the groups of 32 entries `offsets[s] .. offsets[s + 1]`; entry j of a row is in group j / lanes,
/// at the row's place times `lanes` plus j % lanes. Short rows are padded with zeros.
template <class Column>
struct SlicedRows {
  const double* values;
  const Column* columns;
  const std::uint32_t* offsets;
  std::uint32_t lane_shift;
};

inline constexpr std::uint32_t slice_entries = 32;

/// Groups of entries whose loads a thread issues together.
inline constexpr std::uint32_t multiply_batch = 8;

#if defined(__CUDACC__)
namespace detail {

/// One thread's share of the groups `k .. end`, at most `multiply_batch` of them: all loads of the
/// matrix first, then all of the vector, so that a thread waits twice and not twice an entry.
template <class Column, class Gather>
__device__ AATGS_INLINE double multiply_groups(const SlicedRows<Column>& matrix, std::uint32_t k,
                                               std::uint32_t end, std::uint32_t lane,
                                               Gather gather) {
  double values[multiply_batch];
  Column columns[multiply_batch];
  double x[multiply_batch];
  AATGS_UNROLL
  for (std::uint32_t j = 0; j < multiply_batch; ++j) {
    if (k + j >= end) continue;
    const std::size_t at = std::size_t{k + j} * slice_entries + lane;
    values[j] = matrix.values[at];
    columns[j] = matrix.columns[at];
  }
  AATGS_UNROLL
  for (std::uint32_t j = 0; j < multiply_batch; ++j) {
    if (k + j < end) x[j] = gather(columns[j]);
  }
  double sum = 0;
  AATGS_UNROLL
  for (std::uint32_t j = 0; j < multiply_batch; ++j) {
    if (k + j < end) sum += values[j] * x[j];
  }
  return sum;
}

/// Adds up what a row's threads have.
__device__ inline double sum_of_row(double sum, std::uint32_t lane_shift) {
  for (std::uint32_t apart = 0; apart < lane_shift; ++apart) {
    sum += __shfl_xor_sync(~0U, sum, 1 << apart);
  }
  return sum;
}

}  // namespace detail
#endif

/// Calls `use(row, sum)` once for each row below `rows` in the slices `first .. last`, shared out
/// among the threads of this block, all of which must call. Row 0 is the first of slice `first`.
/// `gather(column)` gives the vector's value at a column as it is coded in the matrix, for padding
/// too.
template <class Group, class Column, class Gather, class Use>
AATGS_HOST_DEVICE AATGS_INLINE void multiply_rows(const Group& group,
                                                  const SlicedRows<Column>& matrix,
                                                  std::uint32_t first, std::uint32_t last,
                                                  std::uint32_t rows, Gather gather, Use use) {
#if defined(__CUDA_ARCH__)
  const std::uint32_t lane = group.block_rank() % 32;
  const std::uint32_t warps = group.block_size() / 32;
  const std::uint32_t slice_rows = slice_entries >> matrix.lane_shift;
  std::uint32_t s = first + group.block_rank() / 32;
  std::uint32_t begin = s < last ? matrix.offsets[s] : 0;
  std::uint32_t end = s < last ? matrix.offsets[s + 1] : 0;
  AATGS_NO_UNROLL
  for (; s < last; s += warps) {
    const bool more = s + warps < last;  // loaded early: its wait hides behind this slice's
    const std::uint32_t next_begin = more ? matrix.offsets[s + warps] : 0;
    const std::uint32_t next_end = more ? matrix.offsets[s + warps + 1] : 0;
    const std::uint32_t row = (s - first) * slice_rows + (lane >> matrix.lane_shift);
    double sum = 0;
    AATGS_NO_UNROLL
    for (std::uint32_t k = begin; k < end; k += multiply_batch) {
      sum += detail::multiply_groups(matrix, k, end, lane, gather);
    }
    sum = detail::sum_of_row(sum, matrix.lane_shift);
    if ((lane & ((1U << matrix.lane_shift) - 1)) == 0 && row < rows) use(row, sum);
    begin = next_begin;
    end = next_end;
  }
#else
  static_cast<void>(group);  // one thread a block
  const std::uint32_t slice_rows = slice_entries >> matrix.lane_shift;
  for (std::uint32_t s = first; s < last; ++s) {
    for (std::uint32_t i = 0; i < slice_rows; ++i) {
      const std::uint32_t row = (s - first) * slice_rows + i;
      if (row >= rows) return;
      double sum = 0;
      for (std::uint32_t k = matrix.offsets[s]; k < matrix.offsets[s + 1]; ++k) {
        const std::size_t begin = std::size_t{k} * slice_entries + (i << matrix.lane_shift);
        for (std::size_t at = begin; at < begin + (1U << matrix.lane_shift); ++at) {
          sum += matrix.values[at] * gather(matrix.columns[at]);
        }
      }
      use(row, sum);
    }
  }
#endif
}

}  // namespace aatgs::linear
