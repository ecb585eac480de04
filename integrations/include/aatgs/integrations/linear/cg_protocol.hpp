// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cmath>
#include <cstdint>

namespace aatgs::linear {

/// The config of a conjugate gradient step: so many iterations, fewer if the residual gets small.
struct CgSlice {
  double tolerance;          ///< ends at ||r|| <= tolerance ||b||
  std::uint32_t iterations;  ///< at most
  std::uint32_t start;       ///< 1: begin anew from x = 0 with the present b
};

/// Its telemetry.
struct CgProgress {
  double relative_residual;  ///< ||r|| / ||b||, r by its recurrence; 0 for b = 0
  std::uint64_t iterations;  ///< since the start
  std::uint32_t done;        ///< of them, in this slice
  std::uint8_t converged;    ///< the tolerance is reached
  std::uint8_t broken_down;  ///< not positive definite, or beyond float64: cannot go on
  std::uint8_t padding[2];
};

/// Codes of `group.fail`.
enum class CgFailure : std::uint32_t { wrong_block_count = 1 };

/// Two sums in one reduction.
struct alignas(16) CgSums {
  double first;
  double second;
};
struct AddCgSums {
  AATGS_HOST_DEVICE CgSums operator()(const CgSums& a, const CgSums& b) const {
    return {a.first + b.first, a.second + b.second};
  }
};

/// Numbers that all threads of a solve know alike, kept in memory between slices.
struct CgScalars {
  static constexpr double largest = 1.7e308;  ///< a number above is on its way to infinity

  double gamma = 0;  ///< (r, r) now
  double alpha = 0;
  double beta = 0;
  double gamma_of_b = 0;  ///< (b, b)
  std::uint64_t iterations = 0;
  std::uint32_t broken_down = 0;
  std::uint32_t padding = 0;

  /// Whether to stop, `limit` being the (r, r) to get to.
  [[nodiscard]] AATGS_HOST_DEVICE bool over(double limit) const {
    return gamma <= limit || broken_down != 0;
  }
  [[nodiscard]] AATGS_HOST_DEVICE double limit(double tolerance) const {
    return tolerance * tolerance * gamma_of_b;
  }
  /// Notes a breakdown unless (r, r) and a divisor (A p, p) are numbers to go on with.
  AATGS_HOST_DEVICE void check(double divisor) {
    const bool sound = divisor > 0 && divisor < largest && gamma >= 0 && gamma < largest;
    if (!sound && gamma != 0) broken_down = 1;
  }
};

/// What rank 0 reports at the end of a slice.
AATGS_HOST_DEVICE inline CgProgress cg_progress(const CgScalars& now, double limit,
                                                std::uint32_t done) {
  const double relative2 = now.gamma_of_b > 0 ? now.gamma / now.gamma_of_b : now.gamma;
  CgProgress out{};
  out.relative_residual = sqrt(relative2);
  out.iterations = now.iterations;
  out.done = done;
  out.converged = now.gamma <= limit ? 1 : 0;
  out.broken_down = now.broken_down != 0 ? 1 : 0;
  return out;
}

}  // namespace aatgs::linear
