// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/stencil/field_layout.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace aatgs::stencil {

/// A block's share of the field in one round: the points it owns, and the region around them that
/// it computes on so that it need not hear from its neighbors for `depth` iterations.
struct Tile {
  std::int32_t x, y;  ///< first column and row of the region
  std::int32_t own_x, own_y;
  std::int32_t own_x_end, own_y_end;
};

/// Overlapped tiles. A region holds its tile, `depth_x` columns to either side, and `depth` rows
/// above and below. Each iteration makes the outermost ring of a region wrong, so that after
/// `depth` of them the tile itself is still right.
///
/// A region may overhang the field to the left and right (points there stay 0), but not above and
/// below: there it is moved inwards.
struct TilePlan {
  FieldLayout layout;
  std::int32_t tiles_x, tiles_y;
  std::int32_t own_width, own_height;  ///< of a tile; the last of a row or column may have less
  std::int32_t depth;                  ///< iterations per exchange
  std::int32_t depth_x;                ///< depth, rounded up to what a thread loads at a time
  std::int32_t width, height;          ///< of a region

  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::int32_t tiles() const { return tiles_x * tiles_y; }

  [[nodiscard]] AATGS_HOST_DEVICE constexpr Tile tile(std::int32_t i) const {
    Tile t{};
    t.own_x = i % tiles_x * own_width;
    t.own_y = i / tiles_x * own_height;
    t.own_x_end = smaller(t.own_x + own_width, layout.n);
    t.own_y_end = smaller(t.own_y + own_height, layout.n);
    t.x = t.own_x - depth_x;
    t.y = smaller(t.own_y < depth ? 0 : t.own_y - depth, layout.n - height);
    return t;
  }

  /// The tile next to tile `i` in one of eight directions, or -1.
  [[nodiscard]] AATGS_HOST_DEVICE constexpr std::int32_t neighbor(std::int32_t i,
                                                                  std::int32_t direction) const {
    const std::int32_t place = direction < 4 ? direction : direction + 1;  // 4 is the tile itself
    const std::int32_t x = i % tiles_x + place % 3 - 1;
    const std::int32_t y = i / tiles_x + place / 3 - 1;
    const bool inside = x >= 0 && x < tiles_x && y >= 0 && y < tiles_y;
    return inside ? y * tiles_x + x : -1;
  }

 private:
  AATGS_HOST_DEVICE static constexpr std::int32_t smaller(std::int32_t a, std::int32_t b) {
    return a < b ? a : b;
  }
};

/// Where the field is between two exchanges.
enum class TilePlace {
  chip,    ///< each block keeps its tile; only rims go through memory
  memory,  ///< more tiles than blocks: each is loaded, worked on for `depth` iterations, stored
};

/// What the planner knows of a kernel: the region of one block is `columns` x `rows` points a
/// thread, 32 threads side by side, `warps` of them below each other.
struct ShapeTraits {
  std::int32_t columns, rows, warps;
  std::int32_t source_rows;  ///< of the rows, how many have their source in registers
  std::int32_t pack;         ///< points that a thread loads at a time
  TilePlace place;
  std::size_t scratch_bytes;  ///< of a block

  [[nodiscard]] constexpr std::int32_t width() const { return 32 * columns; }
  [[nodiscard]] constexpr std::int32_t height() const { return rows * warps; }
  [[nodiscard]] std::string name() const;  ///< such as `chip-2x16x4`
};

/// What there is to plan for.
struct ChipLimits {
  std::int32_t blocks;
  std::size_t scratch_bytes;  ///< of a block
};

/// What one asks for beyond the fastest; 0: as the planner likes.
struct PlanWishes {
  std::string shape;  ///< a name, or empty
  std::int32_t depth = 0;
};

struct PlannedShape {
  std::size_t shape;  ///< index into the shapes given
  TilePlan plan;
  double clocks;  ///< estimated, of one iteration
};

/// The plan that the model below thinks fastest for n x n points; empty if no shape fits, as for a
/// field that is lower than any region.
std::optional<PlannedShape> plan_tiles(std::int32_t n, const ChipLimits& limits,
                                       const std::vector<ShapeTraits>& shapes,
                                       const PlanWishes& wishes = {});

/// Cuts the field up for one shape and depth; empty if that cannot be.
std::optional<TilePlan> cut_tiles(std::int32_t n, std::int32_t blocks, const ShapeTraits& shape,
                                  std::int32_t depth);

/// Model of an SM's clocks for one iteration: arithmetic or shared memory, whichever is slower, and
/// a depth's share of an exchange. Source: throughputs of the CUDA programming guide for compute
/// capability 9.0, latencies as measured on an H200.
double estimate_clocks(const TilePlan& plan, const ShapeTraits& shape, std::int32_t blocks);

}  // namespace aatgs::stencil
