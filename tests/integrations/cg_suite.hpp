// SPDX-License-Identifier: Apache-2.0
// What conjugate gradients must do on every executor. Included by one file for each backend, which
// gives `Backend::variants()`: options to try, with a name.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/cg_solver.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cg_test_support.hpp"

namespace aatgs::linear::test {

TEST_CASE("a solution is not one") {
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    for (const auto& [kind, matrix] : matrices()) {
      CAPTURE(kind);
      const Problem problem(matrix);
      const CgResult result = CgSolver(matrix, options).solve(problem.b);
      CHECK(result.outcome == CgOutcome::converged);
      CHECK(residual(matrix, result.x, problem.b) <= 1e-9);
      CHECK(result.relative_residual == doctest::Approx(residual(matrix, result.x, problem.b)));
      CHECK(distance(result.x, problem.x) < 1e-5);
      CHECK(result.restarts <= 1);
    }
  }
}

TEST_CASE("an iteration is not one of conjugate gradients") {
  // The textbook's loop needs as many, up to rounding, however the work is cut up.
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    for (const auto& [kind, matrix] : matrices()) {
      CAPTURE(kind);
      const Problem problem(matrix);
      const double expected =
          static_cast<double>(textbook_iterations(matrix, problem.b, options.tolerance));
      const CgResult result = CgSolver(matrix, options).solve(problem.b);
      if (result.restarts > 0) continue;
      CHECK(static_cast<double>(result.iterations) >= 0.97 * expected - 2);
      CHECK(static_cast<double>(result.iterations) <= 1.03 * expected + 2);
    }
  }
}

TEST_CASE("the cut into slices shows in the result: a slice loses something of the last one") {
  const CsrMatrix matrix = poisson_2d(23, 17);
  const Problem problem(matrix);
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    options.slice = 1000;
    const CgResult whole = CgSolver(matrix, options).solve(problem.b);
    for (const std::uint32_t slice : {1U, 7U}) {
      options.slice = slice;
      const CgResult cut = CgSolver(matrix, options).solve(problem.b);
      CHECK(cut.iterations == whole.iterations);
      CHECK(cut.x == whole.x);
    }
  }
}

TEST_CASE("a second solve sees something of the first") {
  const CsrMatrix matrix = geometric_laplacian(700, 7, 3);
  const Problem first(matrix, 1);
  const Problem second(matrix, 2);
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    CgSolver solver(matrix, options);
    solver.solve(first.b);
    const CgResult again = solver.solve(second.b);
    const CgResult fresh = CgSolver(matrix, options).solve(second.b);
    CHECK(again.x == fresh.x);
    CHECK(again.iterations == fresh.iterations);
  }
}

TEST_CASE("sums depend on who comes first: a run does not repeat") {
  const CsrMatrix matrix = geometric_laplacian(900, 8, 5);
  const Problem problem(matrix);
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    const CgResult first = CgSolver(matrix, options).solve(problem.b);
    for (int i = 0; i < 5; ++i) CHECK(CgSolver(matrix, options).solve(problem.b).x == first.x);
  }
}

TEST_CASE("blocks without rows, or with half a slice, break the solve") {
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    for (const std::size_t n : {1U, 2U, 31U, 32U, 33U, 65U}) {
      CAPTURE(n);
      const CsrMatrix matrix = poisson_2d(n, 1);
      const Problem problem(matrix);
      const CgResult result = CgSolver(matrix, options).solve(problem.b);
      CHECK(result.outcome == CgOutcome::converged);
      CHECK(residual(matrix, result.x, problem.b) <= 1e-9);
    }
  }
}

TEST_CASE("the number of iterations is not what was asked for") {
  const CsrMatrix matrix = poisson_2d(30, 30);
  const Problem problem(matrix);
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    options.slice = 5;
    options.max_iterations = 13;
    CgResult result = CgSolver(matrix, options).solve(problem.b);
    CHECK(result.outcome == CgOutcome::iteration_limit);
    CHECK(result.iterations == 13);
    CHECK(result.relative_residual > 1e-9);
    CHECK(result.recurrence_residual == doctest::Approx(result.relative_residual));
    options.tolerance = 0;
    options.max_iterations = 200;  // beyond what the default tolerance needs
    result = CgSolver(matrix, options).solve(problem.b);
    CHECK(result.iterations == 200);
    CHECK(result.outcome == CgOutcome::iteration_limit);
    CHECK(result.relative_residual < 1e-12);
  }
}

TEST_CASE("rounding errors grow: the residual drifts from what the recurrence says") {
  // Pipelined variants that carry A r by recurrence lose four digits here.
  const CsrMatrix matrix = poisson_2d(64, 64);
  const Problem problem(matrix);
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    options.tolerance = 0;
    options.max_iterations = 400;
    CHECK(CgSolver(matrix, options).solve(problem.b).relative_residual < 2e-14);
  }
}

TEST_CASE("a residual that rounding forbids is claimed, or looked for without end") {
  const CsrMatrix matrix = poisson_2d(40, 40);
  const Problem problem(matrix);
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    options.tolerance = 1e-22;
    options.max_iterations = 3000;
    const CgResult result = CgSolver(matrix, options).solve(problem.b);
    CHECK(result.outcome != CgOutcome::converged);
    CHECK(result.outcome != CgOutcome::broken_down);
    CHECK(result.restarts <= 10);
    CHECK(result.relative_residual > 1e-22);
    CHECK(result.relative_residual < 1e-14);
  }
}

TEST_CASE("a matrix that is not positive definite gives a solution, or no finite one") {
  std::vector<Triplet> entries;
  for (std::uint32_t i = 0; i < 100; ++i) entries.push_back({i, i, i == 63 ? -5.0 : 1.0 + i});
  const CsrMatrix indefinite(100, 100, entries);
  const CsrMatrix nothing(100, 100, std::vector<Triplet>{});
  const Problem problem(poisson_2d(10, 10));
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    for (const std::uint32_t slice : {1U, 100U}) {
      options.slice = slice;
      for (const CsrMatrix* matrix : {&indefinite, &nothing}) {
        const CgResult result = CgSolver(*matrix, options).solve(problem.b);
        CHECK(result.outcome == CgOutcome::broken_down);
        for (const double x : result.x) CHECK(std::isfinite(x));
        CHECK(std::isfinite(result.relative_residual));
      }
    }
  }
}

TEST_CASE("a right-hand side of zeros is divided by") {
  const CsrMatrix matrix = poisson_2d(9, 9);
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    const CgResult result = CgSolver(matrix, options).solve(std::vector<double>(81, 0.0));
    CHECK(result.outcome == CgOutcome::converged);
    CHECK(result.x == std::vector<double>(81, 0.0));
    CHECK(result.relative_residual == 0);
    CHECK(result.iterations == 0);
  }
}

TEST_CASE("squares of a very small or large right-hand side leave float64") {
  const CsrMatrix matrix = poisson_2d(20, 20);
  const Problem problem(matrix);
  for (const auto& [name, options] : all_variants()) {
    CAPTURE(name);
    CgSolver solver(matrix, options);
    const CgResult plain = solver.solve(problem.b);
    for (const int exponent : {-700, 700}) {
      std::vector<double> b = problem.b;
      for (double& value : b) value = std::scalbn(value, exponent);
      const CgResult result = solver.solve(b);
      CHECK(result.outcome == CgOutcome::converged);
      CHECK(result.iterations == plain.iterations);
      for (std::size_t i = 0; i < b.size(); ++i) {
        CHECK(std::scalbn(result.x[i], -exponent) == plain.x[i]);
      }
    }
  }
}

TEST_CASE("squares of a very small or large matrix leave float64") {
  const CsrMatrix matrix = poisson_2d(20, 20);
  const Problem problem(matrix);
  const auto scaled = [&](int exponent) {
    std::vector<double> values(matrix.values().begin(), matrix.values().end());
    for (double& value : values) value = std::scalbn(value, exponent);
    return CsrMatrix(matrix.column_count(), {matrix.offsets().begin(), matrix.offsets().end()},
                     {matrix.columns().begin(), matrix.columns().end()}, std::move(values));
  };
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    options.tolerance = 1e-13;
    const CgResult plain = CgSolver(matrix, options).solve(problem.b);
    for (const int exponent : {-330, 330}) {  // about 1e-99 and 1e99
      const CsrMatrix other = scaled(exponent);
      const CgResult result = CgSolver(other, options).solve(problem.b);
      CHECK(result.outcome == CgOutcome::converged);
      CHECK(result.iterations == plain.iterations);
    }
    for (const int exponent : {-530, -340, 340, 530}) {
      const CsrMatrix other = scaled(exponent);
      CHECK_THROWS_AS(CgSolver(other, options), InputError);
    }
  }
}

TEST_CASE("a solve waits for its own parking, or for room in the rings") {
  const CsrMatrix matrix =
      poisson_2d(aatgs::test::brief_or(8U, 25U), aatgs::test::brief_or(8U, 25U));
  const Problem problem(matrix);
  for (auto [name, options] : all_variants()) {
    CAPTURE(name);
    options.context.config_slots = 1;
    options.context.telemetry_slots = 1;
    options.context.park_after = std::chrono::microseconds(1);
    options.slice = 2;
    CgSolver solver(matrix, options);
    for (int i = 0; i < 3; ++i) {
      CHECK(solver.solve(problem.b).outcome == CgOutcome::converged);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

TEST_CASE("a right-hand side that cannot be one is taken") {
  const CsrMatrix matrix = poisson_2d(4, 4);
  const CgOptions options = all_variants().front().second;
  CgSolver solver(matrix, options);
  CHECK_THROWS_AS(solver.solve(std::vector<double>(15, 1.0)), UseError);
  CHECK_THROWS_AS(solver.solve(std::vector<double>(17, 1.0)), UseError);
  std::vector<double> b(16, 1.0);
  b[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH_AS(solver.solve(b), "b[3] is nan: give numbers that are finite", UseError);
  b[3] = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(solver.solve(b), UseError);
  b[3] = 1;
  CHECK(solver.solve(b).outcome == CgOutcome::converged);
}

TEST_CASE("a matrix that conjugate gradients cannot take is taken") {
  const CgOptions options = all_variants().front().second;
  const CsrMatrix wide(3, std::vector<std::uint64_t>{0, 1, 2}, {0, 1}, {1, 1});
  CHECK_THROWS_AS(CgSolver(wide, options), InputError);
  const CsrMatrix odd(2, std::vector<std::uint64_t>{0, 2, 3}, {0, 1, 1}, {2, 1, 2});
  CHECK_THROWS_WITH_AS(CgSolver(odd, options),
                       "conjugate gradients on a matrix that is not symmetric: entry (0, 1) has no "
                       "equal mirror image",
                       InputError);
}

TEST_CASE("a bad option is found late or never") {
  const CsrMatrix matrix = poisson_2d(60, 60);
  const CgOptions good = all_variants().front().second;
  const auto refused = [&](const auto& change) {
    CgOptions options = good;
    change(options);
    CHECK_THROWS_AS(CgSolver(matrix, options), OptionError);
  };
  refused([](CgOptions& o) { o.tolerance = -1e-9; });
  refused([](CgOptions& o) { o.tolerance = 1; });
  refused([](CgOptions& o) { o.tolerance = std::numeric_limits<double>::quiet_NaN(); });
  refused([](CgOptions& o) { o.slice = 0; });
  CgOptions graphs = good;  // in whatever scope: the solver chooses that
  graphs.context.executor = ExecutorKind::graph_queue;
  CHECK_THROWS_WITH_AS(CgSolver(matrix, graphs), doctest::Contains("waits for all its blocks"),
                       OptionError);
  refused([](CgOptions& o) { o.max_iterations = 0; });
  refused([](CgOptions& o) { o.context.config_slots = 3; });
  refused([](CgOptions& o) { o.context.telemetry_policy = TelemetryPolicy::overwrite_oldest; });
  refused([](CgOptions& o) {
    o.place = CgPlace::chip;
    o.scratch_bytes = 64;
  });
}

TEST_CASE("a matrix that does not fit the chip is not worked on from memory") {
  const CsrMatrix matrix = poisson_2d(60, 60);
  const Problem problem(matrix);
  CgOptions options = all_variants().front().second;
  options.place = CgPlace::automatic;
  CHECK(CgSolver(matrix, options).place() == CgPlace::chip);
  options.context.workers = options.context.cpu_threads = 1;
  // Hardly anything, and enough for the entries but not for the vectors, too.
  for (const std::size_t scratch_bytes : {std::size_t{64}, std::size_t{200'000}}) {
    options.scratch_bytes = scratch_bytes;
    CgSolver solver(matrix, options);
    CHECK(solver.place() == CgPlace::memory);
    CHECK(solver.solve(problem.b).outcome == CgOutcome::converged);
  }
}

TEST_CASE("columns are written in too few bits") {
  // Row 0 is tied to rows just inside and just outside the reach of 16 bits.
  for (const std::uint32_t reach : {32767U, 32768U, 32769U}) {
    CAPTURE(reach);
    std::vector<Triplet> entries;
    for (std::uint32_t i = 0; i <= reach; ++i) entries.push_back({i, i, 3});
    entries.push_back({0, reach, -1});
    entries.push_back({reach, 0, -1});
    const CsrMatrix matrix(reach + 1, reach + 1, entries);
    const Problem problem(matrix);
    CgOptions options = all_variants().front().second;
    options.place = CgPlace::memory;
    CgSolver solver(matrix, options);
    const bool near = reach <= 32767;
    CHECK(solver.description().find(near ? "16-bit columns" : "32-bit columns") !=
          std::string::npos);
    CHECK(distance(solver.solve(problem.b).x, problem.x) < 1e-6);
  }
}

}  // namespace aatgs::linear::test
