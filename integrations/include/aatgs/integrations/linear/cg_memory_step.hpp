// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/cg_protocol.hpp>
#include <aatgs/integrations/linear/streamed_rows.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// Memory of a solve that reads its matrix from memory in every iteration. Vectors have one value a
/// row.
struct CgMemory {
  StreamedRows<std::int16_t> near;  ///< its arrays are null if columns do not fit 16 bits
  StreamedRows<std::uint32_t> far;  ///< null where the other is there
  std::uint32_t rows;
  std::uint32_t slice_count;
  std::uint32_t part_count;      ///< blocks of the group
  std::uint32_t slice_shift;     ///< 2^this slices are dealt to a block at a time,
  std::uint32_t row_shift;       ///< which are 2^this rows
  std::uint32_t scratch_rows;    ///< so many rows of a block have their q in scratch
  std::uint32_t vectors_stream;  ///< 1: r and x are too large to stay in the GPU's cache
  const double* b;
  double* x;
  double* r;
  double* p;
  double* q;
  CgScalars* scalars;
};

/// Conjugate gradients on a matrix of any size. Bound by memory, so it touches each vector as
/// rarely as it can; two grid barriers an iteration:
///     q = A p, alpha = (r, r) / (p, q) | x += alpha p, r -= alpha q, p = r + beta p, (r, r) |
/// The second loop needs beta before it has the new (r, r). By Hestenes & Stiefel's relations that
/// is alpha^2 (q, q) - (r, r), to be had with the first sum (Meurant, Parallel Computing 5, 1987);
/// only beta is foretold so, alpha takes the sum itself, by which the iterates keep the classic
/// method's accuracy (Chen & Carson, SIAM J. Sci. Comput. 42, 2020).
///
/// Bytes a row: 56 (x, r and p read and written, p read once more for the product), and 8 to 12 an
/// entry; q stays on the chip as far as scratch goes. The two loops run in opposite directions, so
/// that one begins with what the other has left in the GPU's cache: p, and what of q is not on the
/// chip.
struct CgMemoryStep {
  static constexpr unsigned block_threads = 512;

  CgMemory memory;

  [[nodiscard]] std::size_t scratch_bytes() const {
    return std::size_t{memory.scratch_rows} * sizeof(double);
  }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const CgSlice& slice, CgProgress& out) const {
    if (group.block_count() != memory.part_count) {
      group.fail(static_cast<std::uint32_t>(CgFailure::wrong_block_count));
      return;
    }
    const Part part(memory, group);
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
      const CgSums sums = group.reduce(multiply(group, part), AddCgSums{});  // (p, q), (q, q)
      now.check(sums.first);
      if (now.broken_down != 0) break;
      now.alpha = now.gamma / sums.first;
      const double foretold = now.alpha * now.alpha * sums.second - now.gamma;
      now.beta = foretold > 0 ? foretold / now.gamma : 0;
      now.gamma = group.sum(memory.vectors_stream != 0 ? advance<true>(group, part, now)
                                                       : advance<false>(group, part, now));
      ++now.iterations;
    }
    if (group.rank() != 0) return;
    if (changed) *memory.scalars = now;
    out = cg_progress(now, limit, done);
  }

 private:
  /// The rows of one block. Those that `multiply` comes to first have q in scratch, so that the
  /// others' are fresh in the cache.
  struct Part {
    Dealt slices;
    Dealt rows;
    std::int32_t slice_count;
    std::uint32_t row_count;
    std::uint32_t first_kept;  // number of the first row with q in scratch
    double* kept;

    template <class Group>
    AATGS_HOST_DEVICE Part(const CgMemory& memory, Group& group)
        : slices{memory.slice_shift, memory.part_count, group.block_index()},
          rows{memory.row_shift, memory.part_count, group.block_index()},
          slice_count(static_cast<std::int32_t>(slices.count(memory.slice_count))),
          row_count(rows.count(memory.rows)),
          first_kept(row_count > memory.scratch_rows ? row_count - memory.scratch_rows : 0),
          kept(group.template scratch<double>()) {}
  };

  /// The threads of a block share out its rows, always in the same way. Each `load(i, row)`s
  /// several before it `use(row, loaded)`s them, to have more bytes under way.
  template <class Group, class Load, class Use>
  AATGS_HOST_DEVICE AATGS_INLINE static void each(const Group& group, const Part& part, Load load,
                                                  Use use) {
    constexpr std::uint32_t batch = 4;
    const std::uint32_t apart = group.block_size();
    std::uint32_t i = group.block_rank();
    AATGS_NO_UNROLL
    for (; i + (batch - 1) * apart < part.row_count; i += batch * apart) {
      decltype(load(0, 0)) held[batch];
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < batch; ++k) {
        held[k] = load(i + k * apart, part.rows.at(i + k * apart));
      }
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < batch; ++k) use(part.rows.at(i + k * apart), held[k]);
    }
    AATGS_NO_UNROLL
    for (; i < part.row_count; i += apart) use(part.rows.at(i), load(i, part.rows.at(i)));
  }

  template <class Group>
  AATGS_HOST_DEVICE void begin(Group& group, const Part& part, CgScalars& now) const {
    double gamma = 0;
    each(
        group, part, [this](std::uint32_t, std::uint32_t row) { return memory.b[row]; },
        [&](std::uint32_t row, double b) {
          memory.r[row] = memory.p[row] = b;
          memory.x[row] = 0;
          gamma += b * b;
        });
    now.gamma = now.gamma_of_b = group.sum(gamma);
    if (!(now.gamma < CgScalars::largest)) now.broken_down = 1;
  }

  /// Returns this thread's share of (p, q) and (q, q).
  template <class Group>
  AATGS_HOST_DEVICE CgSums multiply(const Group& group, const Part& part) const {
    return memory.near.slices != nullptr ? multiply(group, part, memory.near)
                                         : multiply(group, part, memory.far);
  }

  template <class Group, class Column>
  AATGS_HOST_DEVICE AATGS_INLINE CgSums multiply(const Group& group, const Part& part,
                                                 const StreamedRows<Column>& matrix) const {
    CgSums sums{};
    multiply_streamed(group, matrix, part.slices, part.slice_count, memory.p,
                      [&](std::uint32_t i, std::uint32_t row, double q) {
                        if (i >= part.first_kept) {
                          part.kept[i - part.first_kept] = q;
                        } else {
                          memory.q[row] = q;
                        }
                        sums.first += memory.p[row] * q;
                        sums.second += q * q;
                      });
    return sums;
  }

  /// Returns this thread's share of (r, r).
  template <bool streamed, class Group>
  AATGS_HOST_DEVICE AATGS_INLINE double advance(const Group& group, const Part& part,
                                                const CgScalars& now) const {
    struct Row {
      double x, r, p, q;
    };
    const double alpha = now.alpha;
    const double beta = now.beta;
    double gamma = 0;
    each(
        group, part,
        [&](std::uint32_t i, std::uint32_t row) {
          return Row{load_once<streamed>(memory.x + row), load_once<streamed>(memory.r + row),
                     memory.p[row],
                     i >= part.first_kept ? part.kept[i - part.first_kept] : memory.q[row]};
        },
        [&](std::uint32_t row, const Row& at) {
          const double r = at.r - alpha * at.q;
          store_once<streamed>(memory.x + row, at.x + alpha * at.p);
          store_once<streamed>(memory.r + row, r);
          memory.p[row] = r + beta * at.p;
          gamma += r * r;
        });
    return gamma;
  }
};

}  // namespace aatgs::linear
