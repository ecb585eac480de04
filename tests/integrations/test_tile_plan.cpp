// SPDX-License-Identifier: Apache-2.0
// How a field is cut up into overlapped tiles. Rounds are played here with one array a region, and
// with NaN wherever a block has no right to look.
#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <limits>
#include <string>

#include "jacobi_test_support.hpp"

namespace aatgs::stencil::test {

namespace {

constexpr float unknown = std::numeric_limits<float>::quiet_NaN();

/// 32 points wide and few high, so that many tiles are few points.
constexpr ShapeTraits small_shape(TilePlace place, std::int32_t pack, std::int32_t rows = 6) {
  return {1, rows, 4, rows, pack, place, 0};
}

/// A region as a block holds it.
class Region {
 public:
  Region(const TilePlan& plan, std::int32_t i)
      : plan_(plan), tile_(plan.tile(i)), u_(size(), unknown), next_(size(), unknown) {}

  /// Takes `field` where `wanted(x, y)`; points beside the field are 0.
  template <class Wanted>
  void load(const Values& field, Wanted wanted) {
    each([&](std::int32_t x, std::int32_t y) {
      if (!in_field(x)) {
        u_[at(x, y)] = 0;
      } else if (wanted(x, y)) {
        u_[at(x, y)] = field[in(x, y)];
      }
    });
  }
  template <class Wanted>
  void store(Values& field, Wanted wanted) const {
    each([&](std::int32_t x, std::int32_t y) {
      if (in_field(x) && wanted(x, y)) field[in(x, y)] = u_[at(x, y)];
    });
  }
  void iterate(const Values& source) {
    each([&](std::int32_t x, std::int32_t y) {
      next_[at(x, y)] = in_field(x)
                            ? jacobi_point(seen(x - 1, y) + seen(x, y - 1),
                                           seen(x + 1, y) + seen(x, y + 1), source[in(x, y)])
                            : 0;
    });
    std::swap(u_, next_);
  }

  [[nodiscard]] bool owns(std::int32_t x, std::int32_t y) const { return within(x, y, 0, 0); }
  [[nodiscard]] bool in_halo(std::int32_t x, std::int32_t y) const {
    return !owns(x, y) && within(x, y, plan_.depth_x, plan_.depth);
  }
  [[nodiscard]] bool in_rim(std::int32_t x, std::int32_t y) const {
    return owns(x, y) && !within(x, y, -plan_.depth_x, -plan_.depth);
  }
  [[nodiscard]] const Tile& tile() const { return tile_; }

 private:
  [[nodiscard]] bool within(std::int32_t x, std::int32_t y, std::int32_t wider,
                            std::int32_t higher) const {
    return x >= tile_.own_x - wider && x < tile_.own_x_end + wider && y >= tile_.own_y - higher &&
           y < tile_.own_y_end + higher;
  }
  [[nodiscard]] bool in_field(std::int32_t x) const { return x >= 0 && x < plan_.layout.n; }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(plan_.width) * static_cast<std::size_t>(plan_.height);
  }
  [[nodiscard]] std::size_t at(std::int32_t x, std::int32_t y) const {
    return static_cast<std::size_t>((y - tile_.y) * plan_.width + x - tile_.x);
  }
  [[nodiscard]] std::size_t in(std::int32_t x, std::int32_t y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(plan_.layout.n) +
           static_cast<std::size_t>(x);
  }
  /// Above and below a region there is nothing, or the edge of the field.
  [[nodiscard]] float seen(std::int32_t x, std::int32_t y) const {
    if (y < 0 || y >= plan_.layout.n) return 0;
    const bool inside =
        x >= tile_.x && x < tile_.x + plan_.width && y >= tile_.y && y < tile_.y + plan_.height;
    return inside ? u_[at(x, y)] : unknown;
  }
  template <class Body>
  void each(Body body) const {
    for (std::int32_t y = tile_.y; y < tile_.y + plan_.height; ++y) {
      for (std::int32_t x = tile_.x; x < tile_.x + plan_.width; ++x) body(x, y);
    }
  }

  const TilePlan& plan_;
  Tile tile_;
  Values u_;
  Values next_;
};

/// Calls `body` with all plans of small shapes, low and high, for many sizes.
template <class Body>
void each_plan(TilePlace place, Body body) {
  for (const std::int32_t rows : {6, 12}) {
    for (const std::int32_t pack : {1, 2, 4}) {
      for (const std::int32_t n : {24, 25, 31, 32, 33, 40, 48, 63, 64, 65, 100}) {
        for (std::int32_t depth = 1; depth <= 14; ++depth) {
          const auto plan = cut_tiles(n, 1000, small_shape(place, pack, rows), depth);
          if (!plan) continue;
          CAPTURE(n);
          CAPTURE(depth);
          CAPTURE(pack);
          CAPTURE(rows);
          body(*plan, static_cast<std::uint32_t>(n));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("tiles: a point belongs to none or to two, or lies outside its region") {
  int plans = 0;
  each_plan(TilePlace::chip, [&](const TilePlan& plan, std::uint32_t n) {
    ++plans;
    std::vector<int> owners(std::size_t{n} * n);
    for (std::int32_t i = 0; i < plan.tiles(); ++i) {
      const Tile t = plan.tile(i);
      REQUIRE(t.y >= 0);
      REQUIRE(t.y + plan.height <= plan.layout.n);
      REQUIRE(t.own_x_end > t.own_x);
      REQUIRE(t.own_y_end > t.own_y);
      REQUIRE(t.x + plan.width + FieldLayout::margin <= plan.layout.pitch);
      REQUIRE(t.x >= -FieldLayout::margin);
      REQUIRE(t.own_y >= t.y);
      REQUIRE(t.own_y_end <= t.y + plan.height);
      REQUIRE(t.own_x_end < t.x + plan.width);
      for (std::int32_t y = t.own_y; y < t.own_y_end; ++y) {
        for (std::int32_t x = t.own_x; x < t.own_x_end; ++x) {
          ++owners[static_cast<std::size_t>(y) * n + static_cast<std::size_t>(x)];
        }
      }
    }
    CHECK(std::count(owners.begin(), owners.end(), 1) == static_cast<std::ptrdiff_t>(n) * n);
  });
  CHECK(plans > 100);
}

TEST_CASE("tiles: a halo is one iteration old, or a rim does not reach it") {
  each_plan(TilePlace::chip, [](const TilePlan& plan, std::uint32_t n) {
    const Values f = random_values(n, 3);
    const Values source = scaled_source(n, f);
    Values field = random_values(n, 4);
    Reference reference(n, f, field);
    std::vector<Region> regions;
    for (std::int32_t i = 0; i < plan.tiles(); ++i) {
      regions.emplace_back(plan, i);
      regions.back().load(field, [](std::int32_t, std::int32_t) { return true; });
    }
    for (int round = 0; round < 3; ++round) {
      if (round > 0) {
        Values rims(field.size(), unknown);
        for (const Region& r : regions) {
          r.store(rims, [&](std::int32_t x, std::int32_t y) { return r.in_rim(x, y); });
        }
        for (Region& r : regions) {
          r.load(rims, [&](std::int32_t x, std::int32_t y) { return r.in_halo(x, y); });
        }
      }
      for (Region& r : regions) {
        for (std::int32_t i = 0; i < plan.depth; ++i) r.iterate(source);
      }
    }
    for (const Region& r : regions) {
      r.store(field, [&](std::int32_t x, std::int32_t y) { return r.owns(x, y); });
    }
    reference.iterate(3 * static_cast<std::uint64_t>(plan.depth));
    CHECK(different_bits(field, reference.field()) == 0);
  });
}

TEST_CASE("tiles: a tile does not wait for one whose rim it reads") {
  each_plan(TilePlace::chip, [](const TilePlan& plan, std::uint32_t) {
    for (std::int32_t i = 0; i < plan.tiles(); ++i) {
      std::vector<bool> waits(static_cast<std::size_t>(plan.tiles()));
      for (std::int32_t d = 0; d < 8; ++d) {
        const std::int32_t other = plan.neighbor(i, d);
        REQUIRE(other < plan.tiles());
        REQUIRE(other != i);
        if (other >= 0) waits[static_cast<std::size_t>(other)] = true;
      }
      const Region here(plan, i);
      for (std::int32_t j = 0; j < plan.tiles(); ++j) {
        const Tile other = plan.tile(j);
        const Tile& own = here.tile();
        const bool reads = j != i && other.own_x < own.own_x_end + plan.depth_x &&
                           other.own_x_end > own.own_x - plan.depth_x &&
                           other.own_y < own.own_y_end + plan.depth &&
                           other.own_y_end > own.own_y - plan.depth;
        CHECK((!reads || waits[static_cast<std::size_t>(j)]));
      }
    }
  });
}

TEST_CASE(
    "tiles: the planner takes more blocks or scratch than there are, or no notice of a wish") {
  ShapeTraits small = small_shape(TilePlace::chip, 1);
  small.scratch_bytes = 1000;
  ShapeTraits large{8, 21, 8, 0, 4, TilePlace::chip, 200'000};
  ShapeTraits streamed{8, 20, 8, 0, 4, TilePlace::memory, 200'000};
  const std::vector<ShapeTraits> shapes{small, large, streamed};

  CHECK_FALSE(plan_tiles(20, {131, 1000}, shapes));       // lower than any region
  CHECK_FALSE(plan_tiles(4096, {131, 100'000}, shapes));  // would need the large scratch
  CHECK_FALSE(plan_tiles(64, {131, 999}, shapes));
  for (const std::int32_t n : {24, 64, 100, 256, 2048, 4096}) {
    CAPTURE(n);
    const auto found = plan_tiles(n, {131, 227'000}, shapes);
    REQUIRE(found);
    if (shapes[found->shape].place == TilePlace::chip) CHECK(found->plan.tiles() <= 131);
    CHECK(found->clocks > 0);
  }
  CHECK(plan_tiles(2048, {131, 227'000}, shapes)->shape == 1);
  CHECK(plan_tiles(4096, {131, 227'000}, shapes)->shape == 2);
  CHECK(plan_tiles(2048, {131, 227'000}, shapes, {streamed.name(), 5})->plan.depth == 5);
  CHECK_FALSE(plan_tiles(2048, {131, 227'000}, shapes, {"chip-1x1x1", 0}));
}

}  // namespace aatgs::stencil::test
