// SPDX-License-Identifier: Apache-2.0
// What holds for triangular solves on every executor.
#pragma once

#include <doctest/doctest.h>

#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <aatgs/integrations/linear/incomplete_lu.hpp>
#include <aatgs/integrations/linear/sparse_triangular.hpp>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace aatgs::linear::test {

/// The executors of the backend; each file that includes the suite defines it.
std::vector<ContextOptions> triangular_executors();

/// A lower triangle whose row i has `length(i)` random entries, or fewer, anywhere before it.
template <class Length>
CsrMatrix random_lower(std::uint32_t n, Length length) {
  std::mt19937_64 random(n);
  std::vector<Triplet> entries;
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t count = length(i);
    for (std::uint32_t k = 0; i > 0 && k < count; ++k) {
      const double value = (static_cast<double>(random() % 1000) - 500) / 500 / (count + 1.0);
      entries.push_back({i, static_cast<std::uint32_t>(random() % i), value});
    }
    entries.push_back({i, i, 1 + static_cast<double>(random() % 100) / 100});
  }
  return {n, n, entries};
}

/// Each row waits for the one before it.
inline CsrMatrix chain(std::uint32_t n) {
  std::vector<Triplet> entries{{0, 0, 2}};
  for (std::uint32_t i = 1; i < n; ++i) {
    entries.push_back({i, i - 1, -1.5});
    entries.push_back({i, i, 2});
  }
  return {n, n, entries};
}

/// Row i becomes column i.
inline CsrMatrix transposed(const CsrMatrix& a) {
  std::vector<Triplet> entries;
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    for (std::uint64_t at = a.offsets()[i]; at < a.offsets()[i + std::size_t{1}]; ++at) {
      entries.push_back({a.columns()[at], i, a.values()[at]});
    }
  }
  return {a.row_count(), a.row_count(), entries};
}

inline std::vector<double> random_vector(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> v(n);
  for (double& value : v) value = static_cast<double>(random() >> 11) * 0x1p-53 - 0.5;
  return v;
}

/// By substitution, row after row.
inline std::vector<double> substitute(const CsrMatrix& t, Triangle triangle,
                                      std::vector<double> b) {
  const std::uint32_t n = t.row_count();
  for (std::uint32_t k = 0; k < n; ++k) {
    const std::uint32_t i = triangle == Triangle::lower ? k : n - 1 - k;
    double diagonal = 1;
    for (std::uint64_t at = t.offsets()[i]; at < t.offsets()[i + std::size_t{1}]; ++at) {
      const std::uint32_t j = t.columns()[at];
      if (j == i) diagonal = t.values()[at];
      if (j != i) b[i] -= t.values()[at] * b[j];
    }
    b[i] /= diagonal;
  }
  return b;
}

/// The largest residual of a row over what rounding explains; at most 1 for a solution.
inline double excess(const CsrMatrix& t, const std::vector<double>& x,
                     const std::vector<double>& b) {
  double worst = 0;
  for (std::uint32_t i = 0; i < t.row_count(); ++i) {
    long double residual = b[i];
    double size = std::abs(b[i]);
    for (std::uint64_t at = t.offsets()[i]; at < t.offsets()[i + std::size_t{1}]; ++at) {
      const long double product = static_cast<long double>(t.values()[at]) * x[t.columns()[at]];
      residual -= product;
      size += std::abs(static_cast<double>(product));
    }
    const double allowed =
        size * (t.row_length(i) + 4.0) * std::numeric_limits<double>::epsilon() + 1e-300;
    const double found = std::abs(static_cast<double>(residual)) / allowed;
    if (!(found <= worst)) worst = found;
  }
  return worst;
}

struct NamedTriangle {
  std::string name;
  CsrMatrix matrix;
  Triangle triangle = Triangle::lower;
};

inline std::vector<NamedTriangle> triangles() {
  const IncompleteFactors flat = incomplete_lu(poisson_2d(37, 29));
  const IncompleteFactors deep = incomplete_lu(poisson_3d(9, 10, 11));
  const auto long_ones = [](std::uint32_t i) { return i % 50 == 49 ? 400U : i % 7; };
  std::vector<NamedTriangle> all;
  all.push_back({"2D, lower", flat.lower});
  all.push_back({"2D, upper", flat.upper, Triangle::upper});
  all.push_back({"3D, lower", deep.lower});
  all.push_back({"3D, upper", deep.upper, Triangle::upper});
  all.push_back({"random", random_lower(900, [](std::uint32_t) { return 6U; })});
  all.push_back({"long rows", random_lower(700, long_ones)});
  all.push_back({"long rows, upper", transposed(random_lower(701, long_ones)), Triangle::upper});
  all.push_back({"dense", random_lower(150, [](std::uint32_t i) { return 4 * i; })});
  all.push_back({"chain", chain(1000)});
  all.push_back({"diagonal", random_lower(333, [](std::uint32_t) { return 0U; })});
  all.push_back({"one row", chain(1)});
  return all;
}

TEST_CASE("triangular solve: a row takes a value that is not there yet, or another row's") {
  for (const ContextOptions& context : triangular_executors()) {
    for (const NamedTriangle& t : triangles()) {
      for (const auto& [chunk_rows, scratch] : {std::pair(0U, 0U), {7U, 0U}, {100U, 850U}}) {
        CAPTURE(to_string(context.executor));
        CAPTURE(t.name);
        CAPTURE(chunk_rows);
        TriangularOptions options;
        options.context = context;
        options.chunk_rows = chunk_rows;
        options.scratch_bytes = scratch;  // hardly more than the chunk's own: the rest is far
        SparseTriangular solver({t.matrix, t.triangle}, options);
        const std::vector<double> b = random_vector(t.matrix.row_count(), 1);
        const std::vector<double> x = solver.solve(b);
        CHECK(excess(t.matrix, x, b) <= 1);
        CHECK(solver.solve(b) == x);
      }
    }
  }
}

TEST_CASE("triangular solve: a solve takes values of an earlier one") {
  const IncompleteFactors factors = incomplete_lu(poisson_2d(31, 17));
  const std::size_t n = factors.lower.row_count();
  for (const ContextOptions& context : triangular_executors()) {
    TriangularOptions options;
    options.context = context;
    options.chunk_rows = 60;
    const TriangularFactor both[] = {{factors.lower, Triangle::lower, Diagonal::unit},
                                     {factors.upper, Triangle::upper}};
    SparseTriangular solver(both, options);
    std::vector<std::vector<double>> b;
    std::vector<Buffer<double>> x;
    for (std::uint64_t i = 0; i < 12; ++i) {
      b.push_back(random_vector(n, i));
      x.emplace_back(memory_of(solver.context().executor()), b.back(), context.device);
    }
    for (const Buffer<double>& v : x) solver.queue(v.data(), v.data());  // in place
    solver.wait();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto expected = substitute(factors.upper, Triangle::upper,
                                       substitute(factors.lower, Triangle::lower, b[i]));
      const std::vector<double> found = x[i].download();
      double worst = 0;
      for (std::size_t k = 0; k < n; ++k) worst = std::max(worst, std::abs(found[k] - expected[k]));
      CHECK(worst < 1e-12);
    }
  }
}

TEST_CASE("triangular solve: not a number spreads beyond what it reaches, or is taken for a wait") {
  for (const ContextOptions& context : triangular_executors()) {
    TriangularOptions options;
    options.context = context;
    options.chunk_rows = 10;
    const CsrMatrix t = chain(40);
    SparseTriangular solver({t, Triangle::lower}, options);
    std::vector<double> b(40, 1.0);
    const std::uint64_t all_ones = ~std::uint64_t{0};
    b[25] = std::bit_cast<double>(all_ones);
    const std::vector<double> x = solver.solve(b);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(std::isnan(x[i]) == (i >= 25));
  }
}

/// A chain in which the second chunk waits for a value that nobody hands on.
struct Stuck {
  explicit Stuck(const ContextOptions& context) : matrix(chain(20)), solver(make(context)) {
    run.factor = solver->view();
    where = memory_of(solver->context().executor());
    nobody.emplace(where, std::vector<std::uint32_t>{0}, context.device);
    vector.emplace(where, matrix.row_count(), context.device);
    run.factor.externals = nobody->data();
    run.b = run.x = vector->data();
  }
  std::unique_ptr<SparseTriangular> make(const ContextOptions& context) const {
    TriangularOptions options;
    options.context = context;
    options.chunk_rows = 10;
    return std::make_unique<SparseTriangular>(TriangularFactor{matrix}, options);
  }

  CsrMatrix matrix;
  MemoryKind where{};
  std::optional<Buffer<std::uint32_t>> nobody;
  std::optional<Buffer<double>> vector;
  TriangularRun run{};
  std::unique_ptr<SparseTriangular> solver;
};

TEST_CASE("triangular solve: a value that never comes hangs the executor") {
  for (const ContextOptions& context : triangular_executors()) {
    Stuck stuck(context);
    stuck.run.factor.deadline_ns = 20'000'000;
    auto& runs = stuck.solver->context();
    REQUIRE(runs.queue(stuck.run));
    const auto done = runs.wait(std::chrono::seconds(60));
    REQUIRE(done);
    CHECK_FALSE(done->ok());
    CHECK(done->code == static_cast<std::uint32_t>(TriangularFailure::deadline));
    // The next solve is well again.
    const std::vector<double> b = random_vector(20, 3);
    CHECK(excess(stuck.matrix, stuck.solver->solve(b), b) <= 1);
  }
}

TEST_CASE("triangular solve: an abort waits for a value that never comes") {
  for (ContextOptions context : triangular_executors()) {
    if (context.executor != ExecutorKind::resident && context.executor != ExecutorKind::cpu)
      continue;
    Stuck stuck(context);
    stuck.run.factor.deadline_ns = 300'000'000'000;
    auto& runs = stuck.solver->context();
    REQUIRE(runs.queue(stuck.run));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // so that it waits by now
    runs.request_abort();
    CHECK(runs.shutdown(StopMode::abort, std::chrono::seconds(60)));
  }
}

TEST_CASE("triangular solve: a step on another number of blocks reads beyond its plan") {
  for (const ContextOptions& context : triangular_executors()) {
    Stuck stuck(context);
    ++stuck.run.factor.parts;
    auto& runs = stuck.solver->context();
    REQUIRE(runs.queue(stuck.run));
    const auto done = runs.wait(std::chrono::seconds(60));
    REQUIRE(done);
    CHECK(done->code == static_cast<std::uint32_t>(TriangularFailure::other_shape));
  }
}

}  // namespace aatgs::linear::test
