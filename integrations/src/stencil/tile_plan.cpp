// SPDX-License-Identifier: Apache-2.0
#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <algorithm>

namespace aatgs::stencil {
namespace {

constexpr std::int32_t round_up(std::int32_t value, std::int32_t to) {
  return (value + to - 1) / to * to;
}
constexpr std::int32_t divide_up(std::int32_t value, std::int32_t by) {
  return (value + by - 1) / by;
}

double iteration_clocks(const ShapeTraits& s) {
  const double quarters = s.warps / 4.0;  // warps of one of an SM's four schedulers
  const double far_rows = s.rows - s.source_rows;
  const double instructions = s.rows * (3.0 * s.columns + 3) + 4.0 * s.columns / s.pack + 20 +
                              far_rows * s.columns / s.pack;
  const double shared = s.warps * (2.0 * s.rows + 4.0 * s.columns + far_rows * s.columns);
  constexpr double latency = 100;  // barrier, edge rows, first results
  return std::max(quarters * instructions, shared) + latency;
}

}  // namespace

std::string ShapeTraits::name() const {
  return (place == TilePlace::chip ? "chip-" : "memory-") + std::to_string(columns) + "x" +
         std::to_string(rows) + "x" + std::to_string(warps);
}

std::optional<TilePlan> cut_tiles(std::int32_t n, std::int32_t blocks, const ShapeTraits& shape,
                                  std::int32_t depth) {
  TilePlan plan{};
  plan.depth = depth;
  plan.depth_x = round_up(depth, shape.pack);
  plan.width = shape.width();
  plan.height = shape.height();
  const std::int32_t most_width = (plan.width - 2 * plan.depth_x) / shape.pack * shape.pack;
  const std::int32_t most_height = plan.height - 2 * depth;
  if (depth < 1 || plan.depth_x > FieldLayout::margin || most_width < 1 || most_height < 1 ||
      n < plan.height) {
    return std::nullopt;
  }
  plan.tiles_x = divide_up(n, most_width);
  plan.tiles_y = divide_up(n, most_height);
  plan.own_width = round_up(divide_up(n, plan.tiles_x), shape.pack);
  plan.own_height = divide_up(n, plan.tiles_y);
  // Rounding up may have left nothing for the last ones.
  plan.tiles_x = divide_up(n, plan.own_width);
  plan.tiles_y = divide_up(n, plan.own_height);
  // A halo must not reach past the next tile.
  if (plan.tiles_x > 1 && plan.own_width < plan.depth_x) return std::nullopt;
  if (plan.tiles_y > 1 && plan.own_height < depth) return std::nullopt;
  if (shape.place == TilePlace::chip && plan.tiles() > blocks) return std::nullopt;
  plan.layout = FieldLayout::of(n, (plan.tiles_x - 1) * plan.own_width - plan.depth_x + plan.width);
  return plan;
}

double estimate_clocks(const TilePlan& plan, const ShapeTraits& shape, std::int32_t blocks) {
  const double iteration = iteration_clocks(shape);
  constexpr double exchange = 3000;  // rim to memory, flag, halo from memory
  if (shape.place == TilePlace::chip) return iteration + exchange / plan.depth;
  constexpr double barrier = 1700;
  constexpr double first_word = 1500;
  constexpr double bytes_per_clock = 40;  // of one SM, from and to the L2 cache
  const double region = 4.0 * plan.width * plan.height;
  const double own = 4.0 * plan.own_width * plan.own_height;
  const double tile = first_word + (2 * region + own) / bytes_per_clock + plan.depth * iteration;
  return (divide_up(plan.tiles(), blocks) * tile + barrier) / plan.depth;
}

std::optional<PlannedShape> plan_tiles(std::int32_t n, const ChipLimits& limits,
                                       const std::vector<ShapeTraits>& shapes,
                                       const PlanWishes& wishes) {
  std::optional<PlannedShape> best;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (!wishes.shape.empty() && shapes[i].name() != wishes.shape) continue;
    if (shapes[i].scratch_bytes > limits.scratch_bytes) continue;
    for (std::int32_t depth = 1; depth <= FieldLayout::margin; ++depth) {
      if (wishes.depth != 0 && depth != wishes.depth) continue;
      const auto plan = cut_tiles(n, limits.blocks, shapes[i], depth);
      if (!plan) continue;
      const double clocks = estimate_clocks(*plan, shapes[i], limits.blocks);
      if (!best || clocks < best->clocks) best = PlannedShape{i, *plan, clocks};
    }
  }
  return best;
}

}  // namespace aatgs::stencil
