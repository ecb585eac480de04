// SPDX-License-Identifier: Apache-2.0
// Jacobi's method on CPU threads, and what does not depend on where it runs.
#include <aatgs/host/errors.hpp>
#include <limits>

#include "jacobi_test_support.hpp"

namespace aatgs::stencil::test {

JacobiOptions on_threads(std::uint32_t threads) {
  JacobiOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.context.cpu_threads = threads;
  return options;
}

TEST_CASE("Jacobi: a slice of odd length leaves its result in the other buffer") {
  check_slices(37, on_threads(3), {1, 2, 3, 10, 7});
}

TEST_CASE("Jacobi: fields of a few points read beyond their edge") {
  for (const std::uint32_t n : {1U, 2U, 3U, 31U, 32U, 33U}) check_slices(n, on_threads(2), {1, 5});
}

TEST_CASE("Jacobi: iterations that do not fill the last slice are lost, or run twice") {
  JacobiOptions options = on_threads(2);
  options.slice = 7;
  check_slices(20, options, {1, 7, 8, 27});
}

TEST_CASE("Jacobi: the float64 residual does not fall, or is not that of the equation") {
  constexpr std::uint32_t n = 24;
  const Values f(n * n, 1.0F);
  PoissonJacobi solver(n, f, on_threads(2));
  CHECK(relative_residual(n, f, solver.field()) == 1);
  double before = 1;
  for (int i = 0; i < 5; ++i) {
    solver.iterate(300);
    const double now = relative_residual(n, f, solver.field());
    CHECK(now < before);
    before = now;
  }
  // u = x (1 - x) / 2 and f = 1: the second difference of a parabola is exact, but for the two
  // edges y = 0 and y = 1, where it is not 0.
  Values parabola(n * n);
  for (std::size_t i = 0; i < parabola.size(); ++i) {
    const double x = static_cast<double>(i % n + 1) / (n + 1);
    parabola[i] = static_cast<float>(x * (1 - x) / 2);
  }
  Values inner_f = f;
  for (std::size_t x = 0; x < n; ++x) {
    const float beyond = parabola[x] * (n + 1) * (n + 1);
    inner_f[x] += beyond;
    inner_f[(n - 1) * n + x] += beyond;
  }
  CHECK(relative_residual(n, inner_f, parabola) < 1e-5);
  CHECK(relative_residual(n, Values(n * n), Values(n * n)) == 0);
}

TEST_CASE("Jacobi: bad input is taken") {
  const Values f(16);
  CHECK_THROWS_AS(PoissonJacobi(0, {}, on_threads(1)), OptionError);
  CHECK_THROWS_AS(PoissonJacobi(PoissonJacobi::most_points + 1, f, on_threads(1)), OptionError);
  CHECK_THROWS_AS(PoissonJacobi(5, f, on_threads(1)), UseError);
  JacobiOptions no_slice = on_threads(1);
  no_slice.slice = 0;
  CHECK_THROWS_AS(PoissonJacobi(4, f, no_slice), OptionError);
  JacobiOptions lossy = on_threads(1);
  lossy.context.telemetry_policy = TelemetryPolicy::drop_newest;
  CHECK_THROWS_AS(PoissonJacobi(4, f, lossy), OptionError);
  JacobiOptions tiles = on_threads(1);
  tiles.form = JacobiForm::tiles;
  CHECK_THROWS_AS(PoissonJacobi(4, f, tiles), OptionError);
  JacobiOptions graphs;  // in whatever scope: the solver chooses that
  graphs.context.executor = ExecutorKind::graph_queue;
  CHECK_THROWS_WITH_AS(PoissonJacobi(4, f, graphs), doctest::Contains("waits for all its blocks"),
                       OptionError);
  PoissonJacobi solver(4, f, on_threads(1));
  CHECK_THROWS_AS(solver.iterate(0), UseError);
  CHECK_THROWS_AS(solver.set_field(Values(15)), UseError);
  CHECK_THROWS_AS((void)relative_residual(4, f, Values(15)), UseError);
  CHECK_THROWS_AS((void)relative_residual(4, Values(15), f), UseError);
}

}  // namespace aatgs::stencil::test
