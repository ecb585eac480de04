// SPDX-License-Identifier: Apache-2.0
// What a solver keeps in the memory of its executor.
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/linear/cg_chip_step.hpp>
#include <aatgs/integrations/linear/cg_memory_step.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <string>

#include "chip_plan.hpp"
#include "slicing.hpp"

namespace aatgs::linear {

/// The vectors of a solve.
class Vectors {
 public:
  Vectors(MemoryKind where, int device, std::size_t n)
      : b(where, n, device),
        x(where, n, device),
        r(where, n, device),
        p(where, n, device),
        s(where, n, device),
        scalars(where, 1, device) {}

  Buffer<double> b, x, r, p;
  Buffer<double> s;  // q where the matrix is in memory
  Buffer<CgScalars> scalars;
};

class ChipArrays {
 public:
  ChipArrays(MemoryKind where, int device, const ChipPlan& plan, std::size_t n)
      : parts_(where, plan.parts, device),
        ghosts_(where, plan.ghosts, device),
        values_(where, plan.rows.values, device),
        columns_(where, plan.rows.columns, device),
        offsets_(where, plan.rows.offsets, device),
        w_(where, 2 * n, device),
        shares_(where, 2 * plan.parts.size(), device),
        scratch_bytes_(plan.scratch_bytes) {}

  [[nodiscard]] CgChip view(const Vectors& v, std::uint32_t lanes) const {
    CgChip chip{};
    chip.parts = parts_.data();
    chip.part_count = static_cast<std::uint32_t>(parts_.size());
    chip.lane_shift = static_cast<std::uint32_t>(std::countr_zero(lanes));
    chip.scratch_bytes = scratch_bytes_;
    chip.values = values_.data();
    chip.columns = columns_.data();
    chip.offsets = offsets_.data();
    chip.ghosts = ghosts_.data();
    chip.b = v.b.data();
    chip.x = v.x.data();
    chip.r = v.r.data();
    chip.p = v.p.data();
    chip.s = v.s.data();
    chip.w = w_.data();
    chip.shares = shares_.data();
    chip.n = w_.size() / 2;
    chip.scalars = v.scalars.data();
    return chip;
  }

 private:
  Buffer<ChipPart> parts_;
  Buffer<std::uint32_t> ghosts_;
  Buffer<double> values_;
  Buffer<std::uint16_t> columns_;
  Buffer<std::uint32_t> offsets_;
  Buffer<double> w_;
  Buffer<CgSums> shares_;
  std::size_t scratch_bytes_;
};

inline bool columns_are_near(const CsrMatrix& matrix) {
  for (std::uint32_t i = 0; i < matrix.row_count(); ++i) {
    if (matrix.row_length(i) == 0) continue;
    const std::int64_t first = matrix.columns()[matrix.offsets()[i]];
    const std::int64_t last = matrix.columns()[matrix.offsets()[i + std::size_t{1}] - 1];
    using Near = std::numeric_limits<std::int16_t>;
    if (first - i < Near::min() || last - i > Near::max()) return false;
  }
  return true;
}

template <class Column>
class StreamedBuffers {
 public:
  StreamedBuffers(MemoryKind where, int device, const StreamedArrays<Column>& rows)
      : diagonal_slices(static_cast<std::uint32_t>(std::count_if(
            rows.slices.begin(), rows.slices.end(),
            [](const RowSlice& s) { return (s.columns & RowSlice::diagonal) != 0; }))),
        slices_(where, rows.slices, device),
        values_(where, rows.values, device),
        columns_(where, rows.columns, device),
        diagonals_(where, rows.diagonals, device) {}

  [[nodiscard]] StreamedRows<Column> view(std::uint32_t rows, std::uint32_t lanes) const {
    return {slices_.data(),    values_.data(), columns_.data(),
            diagonals_.data(), rows,           static_cast<std::uint32_t>(std::countr_zero(lanes))};
  }

  const std::uint32_t diagonal_slices;

 private:
  Buffer<RowSlice> slices_;
  Buffer<double> values_;
  Buffer<Column> columns_;
  Buffer<Column> diagonals_;
};

class MemoryArrays {
 public:
  MemoryArrays(MemoryKind where, int device, const CsrMatrix& matrix, std::uint32_t lanes,
               std::uint32_t parts, std::size_t scratch_bytes, std::size_t cache)
      : parts_(parts), rows_(matrix.row_count()), lanes_(lanes) {
    const std::uint32_t slices = slice_count(rows_, lanes);
    slice_shift_ = choose_run_shift(slices, lanes, parts);
    const std::uint32_t most_rows = Dealt{row_shift(), parts, 0}.count(rows_);
    scratch_rows_ = static_cast<std::uint32_t>(
        std::min<std::size_t>(most_rows, scratch_bytes / sizeof(double)));
    streams_ = cache > 0 && 3 * sizeof(double) * rows_ > cache;
    if (columns_are_near(matrix)) {
      near_.emplace(where, device, stream_rows<std::int16_t>(matrix, lanes));
    } else {
      far_.emplace(where, device, stream_rows<std::uint32_t>(matrix, lanes));
    }
  }

  /// Bits of a column, and what part of the slices has them.
  [[nodiscard]] std::string columns() const {
    const std::uint32_t diagonal = near_ ? near_->diagonal_slices : far_->diagonal_slices;
    const std::uint64_t percent = 100 - std::uint64_t{100} * diagonal / slice_count(rows_, lanes_);
    return (near_ ? "16" : "32") + std::string("-bit columns in ") + std::to_string(percent) +
           " % of its slices";
  }

  [[nodiscard]] CgMemory view(const Vectors& v) const {
    CgMemory memory{};
    if (near_) memory.near = near_->view(rows_, lanes_);
    if (far_) memory.far = far_->view(rows_, lanes_);
    memory.rows = rows_;
    memory.slice_count = slice_count(rows_, lanes_);
    memory.part_count = parts_;
    memory.slice_shift = slice_shift_;
    memory.row_shift = row_shift();
    memory.scratch_rows = scratch_rows_;
    memory.vectors_stream = streams_ ? 1 : 0;
    memory.b = v.b.data();
    memory.x = v.x.data();
    memory.r = v.r.data();
    memory.p = v.p.data();
    memory.q = v.s.data();
    memory.scalars = v.scalars.data();
    return memory;
  }

 private:
  [[nodiscard]] std::uint32_t row_shift() const {
    const std::uint32_t run_rows = (1U << slice_shift_) * (slice_entries / lanes_);
    return static_cast<std::uint32_t>(std::countr_zero(run_rows));
  }

  std::uint32_t parts_;
  std::uint32_t rows_;
  std::uint32_t lanes_;
  std::uint32_t slice_shift_ = 0;
  std::uint32_t scratch_rows_ = 0;
  bool streams_ = false;
  std::optional<StreamedBuffers<std::int16_t>> near_;
  std::optional<StreamedBuffers<std::uint32_t>> far_;
};

}  // namespace aatgs::linear
