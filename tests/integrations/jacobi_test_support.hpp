// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <aatgs/integrations/stencil/field_layout.hpp>
#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/integrations/stencil/poisson_jacobi.hpp>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

namespace aatgs::stencil::test {

using Values = std::vector<float>;

inline Values random_values(std::uint32_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  Values all(std::size_t{n} * n);
  for (float& v : all) v = value(random);
  return all;
}

/// The iteration as it is written in books, one point after the other.
class Reference {
 public:
  Reference(std::uint32_t n, const Values& f, const Values& u)
      : n_(n), source_(scaled_source(n, f)), u_(u), next_(u) {}

  /// Returns the largest change of the last iteration.
  double iterate(std::uint64_t iterations) {
    float change = 0;
    for (std::uint64_t i = 0; i < iterations; ++i) {
      change = 0;
      for (std::size_t p = 0; p < u_.size(); ++p) {
        const std::size_t x = p % n_;
        const std::size_t y = p / n_;
        const float left = x > 0 ? u_[p - 1] : 0;
        const float right = x + 1 < n_ ? u_[p + 1] : 0;
        const float up = y > 0 ? u_[p - n_] : 0;
        const float down = y + 1 < n_ ? u_[p + n_] : 0;
        next_[p] = jacobi_point(left + up, right + down, source_[p]);
        change = std::max(change, std::abs(next_[p] - u_[p]));
      }
      std::swap(u_, next_);
    }
    return double{change};
  }
  [[nodiscard]] const Values& field() const { return u_; }

 private:
  std::uint32_t n_;
  Values source_;
  Values u_;
  Values next_;
};

inline std::size_t different_bits(const Values& a, const Values& b) {
  REQUIRE(a.size() == b.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    count += std::memcmp(&a[i], &b[i], sizeof(float)) != 0 ? 1 : 0;
  }
  return count;
}

/// Runs `slices` one after the other on a random field and compares after each; `between` is called
/// before each but the first.
template <class Between>
void check_slices(std::uint32_t n, const JacobiOptions& options,
                  const std::vector<std::uint64_t>& slices, Between between) {
  CAPTURE(n);
  const Values f = random_values(n, 1);
  const Values u = random_values(n, 2);
  PoissonJacobi solver(n, f, options);
  solver.set_field(u);
  CAPTURE(solver.description());
  Reference reference(n, f, u);
  bool first = true;
  for (const std::uint64_t iterations : slices) {
    CAPTURE(iterations);
    if (!std::exchange(first, false)) between(solver);
    const double change = solver.iterate(iterations);
    CHECK(change == reference.iterate(iterations));
    CHECK(different_bits(solver.field(), reference.field()) == 0);
  }
}

inline void check_slices(std::uint32_t n, const JacobiOptions& options,
                         const std::vector<std::uint64_t>& slices) {
  check_slices(n, options, slices, [](PoissonJacobi&) {});
}

}  // namespace aatgs::stencil::test
