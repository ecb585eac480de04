// SPDX-License-Identifier: Apache-2.0
// Jacobi's method on tiles, and on the roads that launch a kernel for each iteration.
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/stencil/launched_jacobi.hpp>
#include <chrono>
#include <thread>

#include "../brief.hpp"
#include "../integrations/jacobi_test_support.hpp"

namespace aatgs::stencil::test {

namespace {

using namespace std::chrono_literals;
using aatgs::test::brief_or;

JacobiOptions on(ExecutorKind executor) {
  JacobiOptions options;
  options.context.executor = executor;
  options.context.step_deadline = 5s;
  options.slice_deadline = 60s;
  return options;
}

JacobiOptions on_tiles(const std::string& shape, std::int32_t depth) {
  JacobiOptions options = on(ExecutorKind::resident);
  options.form = JacobiForm::tiles;
  options.tiles = {shape, depth};
  return options;
}

struct TestShape {
  std::string name;
  std::uint32_t height;  // of a region: no field may be lower
};

/// All that are compiled; in brief, one of each kind.
const std::vector<TestShape>& shapes() {
  static const auto all = brief_or<std::vector<TestShape>>(
      {{"chip-2x16x4", 64}, {"chip-8x21x8", 168}, {"memory-8x20x8", 160}},
      {{"chip-2x16x4", 64},
       {"chip-3x16x4", 64},
       {"chip-4x16x4", 64},
       {"chip-4x16x8", 128},
       {"chip-8x21x8", 168},
       {"memory-4x16x8", 128},
       {"memory-8x20x8", 160}});
  return all;
}

}  // namespace

TEST_CASE("Jacobi tiles: a halo is one iteration old, or misses tiles at the edges") {
  for (const TestShape& shape : shapes()) {
    CAPTURE(shape.name);
    for (const std::int32_t depth : brief_or<std::vector<std::int32_t>>({3}, {1, 3, 8})) {
      CAPTURE(depth);
      // Lowest; not a multiple of anything; several tiles each way.
      for (const std::uint32_t n : {shape.height, shape.height + 37, 2 * shape.height + 5}) {
        check_slices(n, on_tiles(shape.name, depth), {8, 50});
      }
    }
  }
}

TEST_CASE("Jacobi tiles: slices shorter than a round, of odd length, or of one iteration") {
  for (const TestShape& shape : shapes()) {
    CAPTURE(shape.name);
    const std::vector<std::uint64_t> slices{1, 1, 2, 7, 8, 9, 15, 16, 17, 101};
    check_slices(2 * shape.height + 1, on_tiles(shape.name, 8), slices);
  }
}

TEST_CASE("Jacobi tiles: a fast block overwrites what a slow one has yet to read") {
  for (const TestShape& shape : shapes()) {
    CAPTURE(shape.name);
    JacobiOptions options = on_tiles(shape.name, 0);
    const std::uint64_t iterations = brief_or(51, 2001);
    options.slice = 5;  // hundreds of slices, most without an exchange
    check_slices(3 * shape.height, options, {iterations});
    options.slice = 100;
    options.tiles.depth = 2;  // hundreds of exchanges
    check_slices(3 * shape.height, options, {iterations});
  }
}

TEST_CASE("Jacobi tiles: the field is lost when the kernel parks between slices") {
  for (const TestShape& shape : shapes()) {
    CAPTURE(shape.name);
    JacobiOptions options = on_tiles(shape.name, 0);
    options.context.park_after = 1ms;
    std::uint64_t parks = 0;
    const std::vector<std::uint64_t> slices(10, 33);
    check_slices(shape.height + 11, options, slices, [&](PoissonJacobi& solver) {
      parks = solver.stats().parks;
      if (parks == 0) std::this_thread::sleep_for(50ms);
    });
    CHECK(parks > 0);
  }
}

TEST_CASE("Jacobi tiles: executors come to other iterates") {
  for (const auto executor : {ExecutorKind::resident, ExecutorKind::launch, ExecutorKind::graph}) {
    CAPTURE(to_string(executor));
    for (const JacobiForm form : {JacobiForm::automatic, JacobiForm::plain}) {
      JacobiOptions options = on(executor);
      options.form = form;
      for (const std::uint32_t n : {1U, 63U, 200U, brief_or(200U, 777U)}) {
        check_slices(n, options, {1, 64, 101});
      }
    }
  }
}

TEST_CASE("Jacobi tiles: planned sizes come to other iterates") {
  for (const std::uint32_t n :
       brief_or<std::vector<std::uint32_t>>({128}, {128, 512, 1024, 2048, 4096})) {
    check_slices(n, on(ExecutorKind::resident), {41});
  }
}

TEST_CASE("Jacobi launches: a shape misses points, or a kernel does not wait for the last one") {
  const std::uint64_t iterations = brief_or(21, 203);
  for (const std::uint32_t n : {1U, 30U, 129U, 301U}) {
    CAPTURE(n);
    const Values f = random_values(n, 1);
    const Values u = random_values(n, 2);
    Reference reference(n, f, u);
    reference.iterate(iterations);
    for (const auto road : {LaunchRoad::launch, LaunchRoad::graph, LaunchRoad::graph_pdl}) {
      CAPTURE(to_string(road));
      if (!LaunchedJacobi::is_available(road)) {
        CHECK_THROWS_AS(LaunchedJacobi(n, f, road), OptionError);
        continue;
      }
      LaunchedJacobi launched(n, f, road);
      CHECK_THROWS_AS(launched.set_field(std::span(u).first(u.size() - 1)), UseError);
      for (const LaunchShape& shape : LaunchedJacobi::shapes(road)) {
        CAPTURE(shape.name());
        launched.set_shape(shape);
        launched.set_field(u);
        launched.iterate(iterations);
        CHECK(different_bits(launched.field(), reference.field()) == 0);
      }
    }
  }
}

TEST_CASE("Jacobi tiles: a wish that cannot be met is passed over in silence") {
  const Values f(100 * 100);
  CHECK_THROWS_AS(PoissonJacobi(100, f, on_tiles("chip-8x21x8", 0)), OptionError);
  CHECK_THROWS_AS(PoissonJacobi(100, f, on_tiles("chip-1x1x1", 0)), OptionError);
  CHECK_THROWS_AS(PoissonJacobi(100, f, on_tiles("", 31)), OptionError);
}

}  // namespace aatgs::stencil::test
