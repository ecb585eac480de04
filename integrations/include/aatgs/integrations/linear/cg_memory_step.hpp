// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/cg_protocol.hpp>
#include <aatgs/integrations/linear/sliced_rows.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// Memory of a solve that reads its matrix from memory in every iteration. Vectors have room for
/// whole slices of rows.
struct CgMemory {
  const std::uint32_t* slice_bounds;  ///< [part_count + 1]; a part is the slices of one block
  std::uint32_t part_count;
  std::uint32_t lanes;
  std::uint64_t scratch_bytes;
  std::uint32_t rows;
  std::uint32_t scratch_rows;  ///< so many rows of a block have their q in scratch
  const double* values;
  const std::int16_t* near_columns;  ///< column minus row; null where one does not fit 16 bits
  const std::uint32_t* far_columns;  ///< column; null where the other is there
  const std::uint32_t* offsets;      ///< of slices, in groups of 32 entries
  const double* b;
  double* x;
  double* r;
  double* p;
  double* q;
  CgScalars* scalars;
};

/// Conjugate gradients (Hestenes & Stiefel, 1952) on a matrix of any size. Bound by memory, so its
/// loops are merged to touch each vector as rarely as they can; three grid barriers an iteration:
///     x += alpha p, p = r + beta p | q = A p, alpha = (r, r) / (p, q) | r -= alpha q, (r, r) |
/// Bytes a row: 8 for each of 8 vectors (x and p twice, r three times, p once more for the product)
/// and 10 or 12 an entry; q stays on the chip as far as scratch goes.
struct CgMemoryStep {
  static constexpr unsigned block_threads = 512;

  CgMemory memory;

  [[nodiscard]] std::size_t scratch_bytes() const { return memory.scratch_bytes; }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const CgSlice& slice, CgProgress& out) const {
    if (group.block_count() != memory.part_count) {
      group.fail(static_cast<std::uint32_t>(CgFailure::wrong_block_count));
      return;
    }
    const Part part(memory, group.block_index());
    double* scratch = group.template scratch<double>();
    CgScalars now;
    if (slice.start != 0) {
      begin(group, part, now);
    } else {
      now = *memory.scalars;
    }
    const double limit = now.limit(slice.tolerance);
    bool changed = slice.start != 0;
    std::uint32_t done = 0;
    for (; done < slice.iterations && !now.over(limit); ++done) {
      changed = true;
      advance(group, part, now);
      group.sync();
      const double divisor = group.sum(multiply(group, part, scratch));
      now.check(divisor);
      if (now.broken_down != 0) break;
      now.alpha = now.gamma / divisor;
      const double gamma = group.sum(reduce_residual(group, part, now.alpha, scratch));
      now.beta = gamma / now.gamma;
      now.gamma = gamma;
      ++now.iterations;
    }
    if (changed) {
      // The next iteration would add this; the host may want x before.
      if (now.broken_down == 0) add_pending(group, part, now.alpha);
      now.alpha = 0;
      if (group.rank() == 0) *memory.scalars = now;
    }
    if (group.rank() == 0) out = cg_progress(now, limit, done);
  }

 private:
  /// The rows of one block.
  struct Part {
    std::uint32_t first_slice, last_slice;
    std::uint32_t first, last;  // rows

    AATGS_HOST_DEVICE Part(const CgMemory& memory, std::uint32_t block)
        : first_slice(memory.slice_bounds[block]), last_slice(memory.slice_bounds[block + 1]) {
      const std::uint32_t slice_rows = slice_entries / memory.lanes;
      first = first_slice * slice_rows;
      last = last_slice * slice_rows;
      if (first > memory.rows) first = memory.rows;
      if (last > memory.rows) last = memory.rows;
    }
  };

  /// The threads of a block share out its rows, always in the same way. Each `load`s several rows
  /// before it `use`s them, to have more bytes under way.
  template <class Group, class Load, class Use>
  AATGS_HOST_DEVICE static void each(const Group& group, const Part& part, Load load, Use use) {
    constexpr std::uint32_t batch = 4;
    const std::uint32_t apart = group.block_size();
    AATGS_NO_UNROLL
    for (std::uint32_t i = part.first + group.block_rank(); i < part.last; i += batch * apart) {
      decltype(load(i)) held[batch];
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < batch; ++k) {
        if (i + k * apart < part.last) held[k] = load(i + k * apart);
      }
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < batch; ++k) {
        if (i + k * apart < part.last) use(i + k * apart, held[k]);
      }
    }
  }

  struct Rpx {
    double r, p, x;
  };

  template <class Group>
  AATGS_HOST_DEVICE void begin(Group& group, const Part& part, CgScalars& now) const {
    double gamma = 0;
    each(
        group, part, [this](std::uint32_t i) { return memory.b[i]; },
        [&](std::uint32_t i, double b) {
          memory.r[i] = b;
          memory.x[i] = memory.p[i] = 0;
          gamma += b * b;
        });
    now.gamma = now.gamma_of_b = group.sum(gamma);
    if (!(now.gamma < CgScalars::largest)) now.broken_down = 1;
  }

  template <class Group>
  AATGS_HOST_DEVICE void advance(const Group& group, const Part& part, const CgScalars& now) const {
    each(
        group, part,
        [this](std::uint32_t i) {
          return Rpx{memory.r[i], memory.p[i], memory.x[i]};
        },
        [&](std::uint32_t i, const Rpx& at) {
          memory.x[i] = at.x + now.alpha * at.p;
          memory.p[i] = at.r + now.beta * at.p;
        });
  }

  /// What the next `advance` would add to x.
  template <class Group>
  AATGS_HOST_DEVICE void add_pending(const Group& group, const Part& part, double alpha) const {
    each(
        group, part, [this](std::uint32_t i) { return memory.p[i]; },
        [&](std::uint32_t i, double p) { memory.x[i] += alpha * p; });
  }

  /// Returns this thread's share of (p, A p).
  template <class Group>
  AATGS_HOST_DEVICE double multiply(const Group& group, const Part& part, double* scratch) const {
    if (memory.near_columns != nullptr) {
      return multiply(group, part, scratch, memory.near_columns,
                      [this, &part](std::uint32_t row, std::int16_t apart) {
                        const auto column = static_cast<std::int64_t>(part.first + row) + apart;
                        return memory.p[column];
                      });
    }
    return multiply(group, part, scratch, memory.far_columns,
                    [this](std::uint32_t, std::uint32_t column) { return memory.p[column]; });
  }

  template <class Group, class Column, class Gather>
  AATGS_NO_INLINE AATGS_HOST_DEVICE double multiply(const Group& group, const Part& part,
                                                    double* scratch, const Column* columns,
                                                    Gather gather) const {
    const SlicedRows<Column> matrix{memory.values, columns, memory.offsets, memory.lanes};
    double sum = 0;
    multiply_rows<true>(group, matrix, part.first_slice, part.last_slice, part.last - part.first,
                        gather, [&](std::uint32_t row, double product) {
                          const std::uint32_t i = part.first + row;
                          if (row < memory.scratch_rows) {
                            scratch[row] = product;
                          } else {
                            memory.q[i] = product;
                          }
                          sum += memory.p[i] * product;
                        });
    return sum;
  }

  /// Returns this thread's share of (r, r).
  template <class Group>
  AATGS_HOST_DEVICE double reduce_residual(const Group& group, const Part& part, double alpha,
                                           const double* scratch) const {
    struct Rq {
      double r, q;
    };
    double gamma = 0;
    each(
        group, part,
        [&](std::uint32_t i) {
          const std::uint32_t row = i - part.first;
          return Rq{memory.r[i], row < memory.scratch_rows ? scratch[row] : memory.q[i]};
        },
        [&](std::uint32_t i, const Rq& at) {
          const double r = at.r - alpha * at.q;
          memory.r[i] = r;
          gamma += r * r;
        });
    return gamma;
  }
};

}  // namespace aatgs::linear
