// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/cg_protocol.hpp>
#include <aatgs/integrations/linear/cg_sums.hpp>
#include <aatgs/integrations/linear/sliced_rows.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// The rows of one block, and what it reads of others.
struct ChipPart {
  std::uint32_t first_row;
  std::uint32_t rows;
  std::uint32_t first_ghost;  ///< index into `CgChip::ghosts`
  std::uint32_t ghosts;       ///< rows of other blocks that this one's rows refer to
  std::uint32_t first_slice;  ///< index into `CgChip::offsets`; a part has `slices + 1` of them
  std::uint32_t slices;
  std::uint64_t first_group;  ///< its entries begin 32 times so far into values and columns
  std::uint32_t groups;
  std::uint32_t padding;

  /// Scratch bytes that the part fills.
  [[nodiscard]] constexpr std::size_t bytes() const {
    const std::size_t entries = std::size_t{groups} * slice_entries;
    return CgSumRoom::local_sums * sizeof(CgSums) +
           8 * (2 * std::size_t{ghosts} + 5 * std::size_t{rows} + entries) +
           4 * (std::size_t{slices} + 1 + ghosts) + 2 * entries;
  }
};

/// Memory of a solve whose matrix is kept on the chip. Vectors have one value a row of the matrix.
struct CgChip {
  const ChipPart* parts;  ///< one for each block of the group
  std::uint32_t part_count;
  std::uint32_t lane_shift;
  std::uint64_t scratch_bytes;  ///< most of any part
  const double* values;
  const std::uint16_t* columns;  ///< own row of the part, or `rows` + index of a ghost
  const std::uint32_t* offsets;  ///< in groups of 32 entries from the part's first
  const std::uint32_t* ghosts;   ///< row of the matrix
  const double* b;
  double* x;
  double* r;  ///< this and p, s: only while the step is not resident
  double* p;
  double* s;
  double* w;       ///< [2][n]
  CgSums* shares;  ///< [2][part_count]
  std::uint64_t n;
  CgScalars* scalars;
};

/// Conjugate gradients on a matrix that fits the GPU's shared memory: matrix and vectors stay there
/// as long as the kernel is resident. One grid barrier an iteration.
///
/// The recurrence is Chronopoulos & Gear's (J. Comput. Appl. Math. 25, 1989): with w = A r and the
/// two sums gamma = (r, r) and delta = (r, w) of one reduction,
///     beta = gamma' / gamma,  alpha = gamma' / (delta - beta gamma' / alpha)
///     p = r + beta p,  s = w + beta s (= A p),  x += alpha p,  r -= alpha s.
/// In exact arithmetic its iterates are those of Hestenes & Stiefel. As w is computed from r anew
/// each time, rounding errors are not amplified as in pipelined variants that also carry w by
/// recurrence (Ghysels & Vanroose, Parallel Computing 40, 2014); what r drifts from b - A x is
/// about that of the classic method (Carson, Rozloznik, Strakos, Tichy & Tuma, SIAM J. Sci. Comput.
/// 40, 2018).
///
/// Every block also updates r and s of the rows that its own refer to (ghosts), with the same
/// numbers as their owner. So only w crosses blocks: written before the reduction, read after it,
/// and its barrier is the only one.
struct CgChipStep {
  static constexpr unsigned block_threads = 512;

  CgChip chip;

  [[nodiscard]] std::size_t scratch_bytes() const { return chip.scratch_bytes; }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const CgSlice& slice, CgProgress& out) const {
    if (group.block_count() != chip.part_count) {
      group.fail(static_cast<std::uint32_t>(CgFailure::wrong_block_count));
      return;
    }
    const Block block(chip, group);
    CgScalars now;
    double ghost_w = 0;  // of this thread's first ghost
    if (slice.start != 0) {
      begin(group, block, now, ghost_w);
    } else {
      now = *chip.scalars;
      ghost_w = first_ghost(group, block, now.iterations);
    }
    const double limit = now.limit(slice.tolerance);
    std::uint32_t done = 0;
    for (; done < slice.iterations && !now.over(limit); ++done) {
      update(group, block, now, ghost_w);
      group.sync_block();
      ++now.iterations;
      const auto [gamma, delta] = multiply(group, block, now.iterations, ghost_w);
      // Two divisions one after the other, not three: they are what all threads wait for here.
      const double divisor = delta - gamma * (gamma / (now.gamma * now.alpha));
      now.beta = gamma / now.gamma;
      now.gamma = gamma;
      now.check(divisor);
      now.alpha = gamma / divisor;
    }
    if (done > 0 || slice.start != 0) {
      each(group, block.part.rows, [&](std::uint32_t i) { chip.x[block.row(i)] = block.x[i]; });
      if (group.rank() == 0) *chip.scalars = now;
    }
    if (group.rank() == 0) out = cg_progress(now, limit, done);
  }

  /// The kernel comes to the GPU: the matrix goes to the chip, and what a solve had come to.
  template <class Group>
  AATGS_HOST_DEVICE void enter(Group& group) const {
    if (group.block_count() != chip.part_count) return;
    const Block block(chip, group);
    const ChipPart& part = block.part;
    const std::size_t first = part.first_group * slice_entries;
    each(group, part.groups * slice_entries, [&](std::uint32_t i) {
      block.values[i] = chip.values[first + i];
      block.columns[i] = chip.columns[first + i];
    });
    each(group, part.slices + 1,
         [&](std::uint32_t i) { block.offsets[i] = chip.offsets[part.first_slice + i]; });
    each(group, part.ghosts,
         [&](std::uint32_t i) { block.ghosts[i] = chip.ghosts[part.first_ghost + i]; });
    group.sync_block();
    each(group, part.rows + part.ghosts, [&](std::uint32_t i) {
      block.r[i] = chip.r[block.row(i)];
      block.s[i] = chip.s[block.row(i)];
    });
    const double* w = chip.w + (chip.scalars->iterations & 1) * chip.n;
    each(group, part.rows, [&](std::uint32_t i) {
      block.p[i] = chip.p[block.row(i)];
      block.x[i] = chip.x[block.row(i)];
      block.w[i] = w[block.row(i)];
    });
    group.sync_block();
  }

  /// It leaves: all but x, which every slice writes.
  template <class Group>
  AATGS_HOST_DEVICE void leave(Group& group) const {
    if (group.block_count() != chip.part_count) return;
    const Block block(chip, group);
    each(group, block.part.rows, [&](std::uint32_t i) {
      chip.r[block.row(i)] = block.r[i];
      chip.p[block.row(i)] = block.p[i];
      chip.s[block.row(i)] = block.s[i];
    });
  }

 private:
  /// A part's place in the scratch of its block. Own rows first, then ghosts.
  struct Block {
    ChipPart part;
    CgSums* sums;       // [CgSumRoom::local_sums]
    double *r, *s;      // [rows + ghosts]
    double *w, *p, *x;  // [rows]
    double* values;
    std::uint32_t* offsets;
    std::uint32_t* ghosts;
    std::uint16_t* columns;

    template <class Group>
    AATGS_HOST_DEVICE Block(const CgChip& chip, Group& group)
        : part(chip.parts[group.block_index()]) {
      const std::uint32_t all = part.rows + part.ghosts;
      const std::size_t entries = std::size_t{part.groups} * slice_entries;
      sums = group.template scratch<CgSums>();
      r = reinterpret_cast<double*>(sums + CgSumRoom::local_sums);
      s = r + all;
      w = s + all;
      p = w + part.rows;
      x = p + part.rows;
      values = x + part.rows;
      offsets = reinterpret_cast<std::uint32_t*>(values + entries);
      ghosts = offsets + part.slices + 1;
      columns = reinterpret_cast<std::uint16_t*>(ghosts + part.ghosts);
    }
    /// Row of the matrix.
    [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t row(std::uint32_t i) const {
      return i < part.rows ? part.first_row + i : ghosts[i - part.rows];
    }
  };

  /// The threads of a block share out 0 .. count, always in the same way.
  template <class Group, class Body>
  AATGS_HOST_DEVICE static void each(const Group& group, std::uint32_t count, Body body) {
    for (std::uint32_t i = group.block_rank(); i < count; i += group.block_size()) body(i);
  }

  template <class Group>
  AATGS_HOST_DEVICE void begin(Group& group, const Block& block, CgScalars& now,
                               double& ghost_w) const {
    each(group, block.part.rows + block.part.ghosts, [&](std::uint32_t i) {
      block.r[i] = chip.b[block.row(i)];
      block.s[i] = 0;
    });
    each(group, block.part.rows, [&](std::uint32_t i) { block.p[i] = block.x[i] = 0; });
    group.sync_block();
    const auto [gamma, delta] = multiply(group, block, 0, ghost_w);
    now.gamma = now.gamma_of_b = gamma;
    now.check(delta);
    now.alpha = gamma / delta;
  }

  /// w of the first ghost of a thread: most threads have no more.
  template <class Group>
  AATGS_HOST_DEVICE double first_ghost(const Group& group, const Block& block,
                                       std::uint64_t iteration) const {
    const std::uint32_t g = group.block_rank();
    return g < block.part.ghosts ? chip.w[(iteration & 1) * chip.n + block.ghosts[g]] : 0;
  }

  template <class Group>
  AATGS_HOST_DEVICE void update(Group& group, const Block& block, const CgScalars& now,
                                double ghost_w) const {
    const double* w = chip.w + (now.iterations & 1) * chip.n;
    each(group, block.part.ghosts, [&](std::uint32_t g) {
      const std::uint32_t i = block.part.rows + g;
      follow(now, g == group.block_rank() ? ghost_w : w[block.ghosts[g]], block.s[i], block.r[i]);
    });
    each(group, block.part.rows, [&](std::uint32_t i) {
      const double p = block.r[i] + now.beta * block.p[i];
      block.p[i] = p;
      block.x[i] += now.alpha * p;
      follow(now, block.w[i], block.s[i], block.r[i]);
    });
  }

  /// One function, so that a row and its ghosts are rounded alike.
  AATGS_HOST_DEVICE static void follow(const CgScalars& now, double w, double& s, double& r) {
    s = w + now.beta * s;
    r -= now.alpha * s;
  }

  /// w = A r, handed to the other blocks in turn through two vectors: one that is a lap behind may
  /// still read the other.
  template <class Group>
  AATGS_HOST_DEVICE CgSums multiply(Group& group, const Block& block, std::uint64_t iteration,
                                    double& ghost_w) const {
    double* shared_w = chip.w + (iteration & 1) * chip.n + block.part.first_row;
    const SlicedRows<std::uint16_t> matrix{block.values, block.columns, block.offsets,
                                           chip.lane_shift};
    CgSums sums{};  // (r, r), (r, w)
    multiply_rows(
        group, matrix, 0, block.part.slices, block.part.rows,
        [&](std::uint32_t column) { return block.r[column]; },
        [&](std::uint32_t i, double w) {
          const double r = block.r[i];
          block.w[i] = w;
          shared_w[i] = w;
          sums.first += r * r;
          sums.second += r * w;
        });
    const CgSumRoom room{chip.shares + (iteration & 1) * chip.part_count, block.sums};
    return sum_over_group(group, room, sums,
                          [&] { ghost_w = first_ghost(group, block, iteration); });
  }
};

}  // namespace aatgs::linear
