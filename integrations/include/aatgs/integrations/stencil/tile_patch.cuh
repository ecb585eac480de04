// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <aatgs/integrations/stencil/tile_primitives.cuh>
#include <cstddef>
#include <cstdint>

namespace aatgs::stencil {

/// A region of `32 columns` x `rows warps` points as a block holds it: `columns` x `rows` a thread,
/// in registers. Warps lie below each other, so that only their first and last rows go through
/// shared memory; columns go from lane to lane. The source of the first `source_rows` is in
/// registers too, of the others in shared memory that only their own thread reads.
template <unsigned columns_, unsigned rows_, unsigned warps_, unsigned source_rows_>
struct TileShape {
  static constexpr unsigned columns = columns_;
  static constexpr unsigned rows = rows_;
  static constexpr unsigned warps = warps_;
  static constexpr unsigned source_rows = source_rows_;
  static constexpr unsigned threads = 32 * warps;
  static constexpr unsigned pack = columns % 4 == 0 ? 4 : columns % 2 == 0 ? 2 : 1;
  static constexpr unsigned packs = columns / pack;  ///< of one row of a thread
  static_assert(rows >= 3 && rows < 32 && source_rows <= rows);

  /// [parity][side][warps + 1][packs][32] packs; sides: last rows, first rows.
  static constexpr unsigned edge_row = packs * 32;
  static constexpr unsigned edge_side = (warps + 1) * edge_row;
  static constexpr unsigned edge_parity = 2 * edge_side;
  static constexpr unsigned scratch_packs =
      2 * edge_parity + (rows - source_rows) * packs * threads;

  static constexpr ShapeTraits traits(TilePlace place) {
    return {columns, rows, warps, source_rows, pack, place, scratch_packs * pack * sizeof(float)};
  }
};

template <class T, class Shape>
class TilePatch {
 public:
  using Packed = Pack<T, Shape::pack>;

  /// `scratch`: `Shape::scratch_packs`. Ends with a barrier of the block to come.
  __device__ TilePatch(const TilePlan& plan, Packed* scratch)
      : plan_(plan),
        edges_(scratch + lane()),
        sources_(scratch + 2 * Shape::edge_parity + threadIdx.x) {
    for (unsigned i = threadIdx.x; i < 2 * Shape::edge_parity; i += Shape::threads) {
      scratch[i] = Packed{};  // those beyond the first and last warp stay zero
    }
  }

  /// Moves to a tile.
  __device__ void place(const Tile& tile) {
    const std::int32_t x = tile.x + static_cast<std::int32_t>(lane() * columns);
    y_ = tile.y + static_cast<std::int32_t>(warp() * rows);
    offset_ = plan_.layout.at(x, y_);
    own_rows_ = rows_between(tile.own_y, tile.own_y_end);
    rim_rows_ = own_rows_ & ~rows_between(tile.own_y + plan_.depth, tile.own_y_end - plan_.depth);
    halo_rows_ = rows_between(tile.own_y - plan_.depth, tile.own_y_end + plan_.depth) & ~own_rows_;
    own_ = rim_ = halo_ = 0;
#pragma unroll
    for (unsigned p = 0; p < packs; ++p) {
      const std::int32_t first = x + static_cast<std::int32_t>(p * pack);
      const unsigned bit = 1U << p;
      const std::int32_t deep = plan_.depth_x;
      if (first >= tile.own_x && first < tile.own_x_end) {
        own_ |= bit;
        if (first < tile.own_x + deep || first >= tile.own_x_end - deep) rim_ |= bit;
      } else if (first >= tile.own_x - deep && first < tile.own_x_end + deep) {
        halo_ |= bit;
      }
    }
#pragma unroll
    for (unsigned j = 0; j < columns; ++j) {
      const std::int32_t column = x + static_cast<std::int32_t>(j);
      quarter_[j] = column >= 0 && column < plan_.layout.n ? T(0.25) : T(0);
    }
  }

  /// Brings what does not change; `finish_copies` before the first iteration.
  __device__ void load_source(const T* source) {
    const T* from = source + offset_;
#pragma unroll
    for (unsigned i = 0; i < rows; ++i) {
#pragma unroll
      for (unsigned p = 0; p < packs; ++p) {
        if (is_near(i)) {
          unpack(*at(from, i, p), &source_[is_near(i) ? i : 0][p * pack]);
        } else {
          begin_copy(far_source(i, p), at(from, i, p));
        }
      }
    }
  }

  /// The whole region.
  __device__ void load(const T* field) {
    load_rows(field, [](unsigned) { return ~0U; });
  }
  /// What neighbors own within the depth of an exchange.
  __device__ void load_halo(const T* field) {
    load_rows(field, [&](unsigned p) {
      const unsigned beside = (halo_ >> p & 1) != 0 ? own_rows_ | halo_rows_ : 0U;
      return (own_ >> p & 1) != 0 ? halo_rows_ : beside;
    });
  }
  /// The tile.
  __device__ void store_own(T* field) const {
    store_rows(field, [&](unsigned p) { return (own_ >> p & 1) != 0 ? own_rows_ : 0U; });
  }
  /// What neighbors want of it.
  __device__ void store_rim(T* field) const {
    store_rows(field, [&](unsigned p) {
      const unsigned inside = (own_ >> p & 1) != 0 ? rim_rows_ : 0U;
      return (rim_ >> p & 1) != 0 ? own_rows_ : inside;
    });
  }

  /// Shows the other warps the first and last rows. After every load; then a barrier of the block.
  __device__ void publish_edges() {
    write_edges(parity_);
  }

  /// One iteration. A barrier of the block must have passed since the last one, or since
  /// `publish_edges`. `change` grows to the largest change of an own point if `measured`.
  template <bool measured>
  __device__ __forceinline__ void iterate(T& change) {
    T above[columns];
    T below[columns];
    read_edge(0, warp(), above);
    read_edge(1, warp() + 1, below);
    // The rows that others wait for come first. Each row is overwritten as soon as the sums that
    // need its old values are made.
    T second[columns + 1];
    T last[columns + 1];
    sum_row(1, second);
    sum_row(rows - 1, last);
    {
      T first[columns + 1];
      T beyond[columns + 1];
      sum_first_row(above, first);
      sum_beyond_last_row(below, beyond);
      set_row<measured>(0, first, second, change);
      set_row<measured>(rows - 1, last, beyond, change);
    }
    parity_ ^= 1;
    write_edges(parity_);
    T upper[columns + 1];
#pragma unroll
    for (unsigned j = 0; j <= columns; ++j) upper[j] = second[j];
#pragma unroll
    for (unsigned i = 1; i + 1 < rows; ++i) {
      T lower[columns + 1];
      if (i + 2 < rows) {
        sum_row(i + 1, lower);
      } else {
#pragma unroll
        for (unsigned j = 0; j <= columns; ++j) lower[j] = last[j];
      }
      set_row<measured>(i, upper, lower, change);
#pragma unroll
      for (unsigned j = 0; j <= columns; ++j) upper[j] = lower[j];
    }
  }

 private:
  static constexpr unsigned columns = Shape::columns;
  static constexpr unsigned rows = Shape::rows;
  static constexpr unsigned pack = Shape::pack;
  static constexpr unsigned packs = Shape::packs;

  __device__ static unsigned lane() {
    return threadIdx.x % 32;
  }
  __device__ static unsigned warp() {
    return threadIdx.x / 32;
  }

  /// Values beyond the region's left and right edges are any: too far from the tile to matter, or
  /// next to points outside the field, which stay zero.
  __device__ T left_of(unsigned i) const {
    return from_lane(u_[i][columns - 1], (lane() + 31) % 32);
  }
  __device__ T right_of(unsigned i) const {
    return from_lane(u_[i][0], (lane() + 1) % 32);
  }

  /// sums[j]: left and upper neighbor of point j; the right and lower one of point j - 1 above.
  __device__ void sum_row(unsigned i, T (&sums)[columns + 1]) const {
    sums[0] = left_of(i) + u_[i - 1][0];
#pragma unroll
    for (unsigned j = 1; j < columns; ++j) sums[j] = u_[i][j - 1] + u_[i - 1][j];
    sums[columns] = u_[i][columns - 1] + right_of(i - 1);
  }
  __device__ void sum_first_row(const T (&above)[columns], T (&sums)[columns + 1]) const {
    sums[0] = left_of(0) + above[0];
#pragma unroll
    for (unsigned j = 1; j < columns; ++j) sums[j] = u_[0][j - 1] + above[j];
    sums[columns] = 0;  // not used
  }
  __device__ void sum_beyond_last_row(const T (&below)[columns], T (&sums)[columns + 1]) const {
    sums[0] = 0;  // not used
#pragma unroll
    for (unsigned j = 1; j < columns; ++j) sums[j] = below[j - 1] + u_[rows - 1][j];
    sums[columns] = below[columns - 1] + right_of(rows - 1);
  }

  template <bool measured>
  __device__ void set_row(unsigned i, const T (&upper)[columns + 1], const T (&lower)[columns + 1],
                          T& change) {
#pragma unroll
    for (unsigned p = 0; p < packs; ++p) {
      T source[pack];
      if (is_near(i)) {
#pragma unroll
        for (unsigned k = 0; k < pack; ++k) source[k] = source_[is_near(i) ? i : 0][p * pack + k];
      } else {
        unpack(*far_source(i, p), source);
      }
      const bool counts = measured && (own_rows_ >> i & 1) != 0 && (own_ >> p & 1) != 0;
#pragma unroll
      for (unsigned k = 0; k < pack; ++k) {
        const unsigned j = p * pack + k;
        const T next = jacobi_point(upper[j], lower[j + 1], source[k], quarter_[j]);
        if (measured && counts) change = fmax(change, fabs(next - u_[i][j]));
        u_[i][j] = next;
      }
    }
  }

  __device__ Packed* edge(unsigned parity, unsigned side, unsigned slot) const {
    return edges_ + parity * Shape::edge_parity + side * Shape::edge_side + slot * Shape::edge_row;
  }
  __device__ void write_edges(unsigned parity) {
#pragma unroll
    for (unsigned p = 0; p < packs; ++p) {
      edge(parity, 0, warp() + 1)[p * 32] = packed(&u_[rows - 1][p * pack]);
      edge(parity, 1, warp())[p * 32] = packed(&u_[0][p * pack]);
    }
  }
  __device__ void read_edge(unsigned side, unsigned slot, T (&row)[columns]) const {
#pragma unroll
    for (unsigned p = 0; p < packs; ++p) unpack(edge(parity_, side, slot)[p * 32], &row[p * pack]);
  }

  /// Whether the source of a row is in registers.
  __device__ static constexpr bool is_near(unsigned i) {
    return i + 1 <= Shape::source_rows;
  }
  __device__ Packed* far_source(unsigned i, unsigned p) const {
    return sources_ + ((i - Shape::source_rows) * packs + p) * Shape::threads;
  }

  __device__ static Packed packed(const T* from) {
    Packed all;
#pragma unroll
    for (unsigned k = 0; k < pack; ++k) all.value[k] = from[k];
    return all;
  }
  __device__ static void unpack(const Packed& all, T* to) {
    const Packed copy = all;  // one load
#pragma unroll
    for (unsigned k = 0; k < pack; ++k) to[k] = copy.value[k];
  }

  /// Those of the thread's rows that lie in `first .. end` of the field: bits.
  __device__ unsigned rows_between(std::int32_t first, std::int32_t end) const {
    const auto below = [&](std::int32_t y) {
      const std::int32_t i = y - y_;
      return i <= 0 ? 0U : i >= static_cast<std::int32_t>(rows) ? (1U << rows) - 1 : (1U << i) - 1;
    };
    return below(end) & ~below(first);
  }

  /// `wanted(p)`: the rows, as bits, in which pack p is to be moved.
  template <class Wanted>
  __device__ void load_rows(const T* field, Wanted wanted) {
    const T* from = field + offset_;
#pragma unroll
    for (unsigned p = 0; p < packs; ++p) {
      const unsigned mask = wanted(p);
#pragma unroll
      for (unsigned i = 0; i < rows; ++i) {
        if ((mask >> i & 1) == 0) continue;
        unpack(*at(from, i, p), &u_[i][p * pack]);
      }
    }
  }
  template <class Wanted>
  __device__ void store_rows(T* field, Wanted wanted) const {
    T* to = field + offset_;
#pragma unroll
    for (unsigned p = 0; p < packs; ++p) {
      const unsigned mask = wanted(p);
#pragma unroll
      for (unsigned i = 0; i < rows; ++i) {
        if ((mask >> i & 1) != 0) *at(to, i, p) = packed(&u_[i][p * pack]);
      }
    }
  }
  __device__ Packed* at(T* first, unsigned i, unsigned p) const {
    return reinterpret_cast<Packed*>(first + i * plan_.layout.pitch + p * pack);
  }
  __device__ const Packed* at(const T* first, unsigned i, unsigned p) const {
    return reinterpret_cast<const Packed*>(first + i * plan_.layout.pitch + p * pack);
  }

  const TilePlan& plan_;
  Packed* edges_;
  Packed* sources_;
  std::int32_t y_ = 0;                                    // of the thread's first row
  std::ptrdiff_t offset_ = 0;                             // of its first point
  unsigned own_ = 0, rim_ = 0, halo_ = 0;                 // which packs of a row lie where: bits
  unsigned own_rows_ = 0, rim_rows_ = 0, halo_rows_ = 0;  // which rows
  unsigned parity_ = 0;
  T u_[rows][columns] = {};
  T quarter_[columns] = {};  // 0 where there is no point
  T source_[Shape::source_rows > 0 ? Shape::source_rows : 1][columns];
};

}  // namespace aatgs::stencil
