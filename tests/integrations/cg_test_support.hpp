// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/cg_solver.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../brief.hpp"

namespace aatgs::linear::test {

using Variant = std::pair<std::string, CgOptions>;

/// Executors and cuts of the backend; each file that includes the suite defines it.
std::vector<Variant> executors();

/// Those, for each place and amount of scratch.
inline std::vector<Variant> all_variants() {
  std::vector<Variant> all;
  for (auto [name, options] : executors()) {
    options.tolerance = 1e-9;
    options.slice_deadline = std::chrono::minutes(4);
    options.place = CgPlace::chip;
    all.emplace_back(name + ", chip", options);
    options.place = CgPlace::memory;
    all.emplace_back(name + ", memory", options);
    options.scratch_bytes = 20 * sizeof(double);  // q: partly in scratch, partly in memory
    all.emplace_back(name + ", memory, little scratch", options);
  }
  return all;
}

/// A random symmetric, diagonally dominant matrix whose row i has about `length(i)` entries that
/// lie anywhere.
template <class Length>
CsrMatrix scattered(std::uint32_t n, Length length) {
  std::mt19937_64 random(n);
  std::vector<Triplet> entries;
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t k = 0; k < length(i) / 2; ++k) {
      const auto j = static_cast<std::uint32_t>(random() % n);
      const double value = 0.1 + static_cast<double>(random() % 1000) / 1000;
      if (j == i) continue;
      entries.push_back({i, j, -value});
      entries.push_back({j, i, -value});
      entries.push_back({i, i, value});
      entries.push_back({j, j, value});
    }
    entries.push_back({i, i, 1});
  }
  return {n, n, entries};
}

/// A 2D Poisson matrix, and couplings all over its last rows.
inline CsrMatrix half_regular() {
  const CsrMatrix grid = poisson_2d(40, 40);
  const CsrMatrix tail = scattered(400, [](std::uint32_t) { return 8U; });
  std::vector<Triplet> entries;
  for (const auto& [matrix, first] : {std::pair(&grid, 0U), std::pair(&tail, 1200U)}) {
    for (std::uint32_t i = 0; i < matrix->row_count(); ++i) {
      for (std::uint64_t at = matrix->offsets()[i]; at < matrix->offsets()[i + 1]; ++at) {
        entries.push_back({first + i, first + matrix->columns()[at], matrix->values()[at]});
      }
    }
  }
  return {1600, 1600, entries};
}

/// Regular, irregular, with far columns, long rows, and one very long row.
inline const std::vector<std::pair<std::string, CsrMatrix>>& matrices() {
  static const std::vector<std::pair<std::string, CsrMatrix>> all = [] {
    std::vector<std::pair<std::string, CsrMatrix>> list;
    list.emplace_back("2D", poisson_2d(37, 29));
    list.emplace_back("3D", poisson_3d(9, 10, 11));
    list.emplace_back("geometric", geometric_laplacian(1500, 9, 1));
    list.emplace_back("scattered", scattered(800, [](std::uint32_t) { return 6U; }));
    list.emplace_back("long rows", scattered(300, [](std::uint32_t) { return 60U; }));
    list.emplace_back("longer rows", scattered(300, [](std::uint32_t) { return 120U; }));
    list.emplace_back("one full row",
                      scattered(500, [](std::uint32_t i) { return i == 7 ? 1500U : 2U; }));
    list.emplace_back("half regular", half_regular());
    list.emplace_back("diagonal", scattered(100, [](std::uint32_t) { return 0U; }));
    const auto is_large = [](const auto& named) { return named.second.row_count() > 500; };
    if (aatgs::test::brief_or(true, false)) std::erase_if(list, is_large);
    return list;
  }();
  return all;
}

/// A right-hand side whose solution is known.
struct Problem {
  explicit Problem(const CsrMatrix& matrix, std::uint64_t seed = 1)
      : x(matrix.row_count()), b(matrix.row_count()) {
    std::mt19937_64 random(seed);
    for (double& value : x) value = static_cast<double>(random() >> 11) * 0x1p-53 - 0.5;
    matrix.multiply(x, b);
  }
  std::vector<double> x;
  std::vector<double> b;
};

inline double norm(const std::vector<double>& v) {
  double sum = 0;
  for (const double value : v) sum += value * value;
  return std::sqrt(sum);
}

/// ||a - b|| / ||b||.
inline double distance(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return norm(a) / norm(b);
}

/// ||b - A x|| / ||b||.
inline double residual(const CsrMatrix& matrix, const std::vector<double>& x,
                       const std::vector<double>& b) {
  std::vector<double> product(b.size());
  matrix.multiply(x, product);
  return distance(std::move(product), b);
}

/// Iterations of Hestenes & Stiefel's method as books print it.
inline std::uint64_t textbook_iterations(const CsrMatrix& matrix, const std::vector<double>& b,
                                         double tolerance) {
  std::vector<double> r = b;
  std::vector<double> p = b;
  std::vector<double> q(b.size());
  double gamma = norm(r) * norm(r);
  const double limit = tolerance * tolerance * gamma;
  std::uint64_t iterations = 0;
  for (; gamma > limit; ++iterations) {
    matrix.multiply(p, q);
    double pq = 0;
    for (std::size_t i = 0; i < b.size(); ++i) pq += p[i] * q[i];
    for (std::size_t i = 0; i < b.size(); ++i) r[i] -= gamma / pq * q[i];
    const double next = norm(r) * norm(r);
    for (std::size_t i = 0; i < b.size(); ++i) p[i] = r[i] + next / gamma * p[i];
    gamma = next;
  }
  return iterations;
}

}  // namespace aatgs::linear::test
