// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cmath>
#include <cstdint>

namespace aatgs::stencil {

/// The config of a Jacobi step: so many iterations, at least 1.
struct JacobiSlice {
  std::uint32_t iterations;
};

/// Its telemetry.
struct JacobiProgress {
  double largest_change;  ///< of any point, in the last iteration of the slice
};

/// Codes of `group.fail`.
enum class JacobiFailure : std::uint32_t { too_few_blocks = 1, not_a_grid = 2 };

/// One point of a Jacobi iteration for -(u_xx + u_yy) = f on a square grid of width h:
///     u' = ((left + up) + (right + down)) / 4 + source,   source = h^2 f / 4.
/// Every kernel that is compared with another one goes through this function, so that all round
/// alike. The two sums are arguments because `right + down` of a point is `left + up` of its
/// neighbor across the diagonal: three operations a point instead of four.
template <class T>
AATGS_HOST_DEVICE inline T jacobi_point(T left_up, T right_down, T source, T quarter = T(0.25)) {
  using std::fma;
  return fma(quarter, left_up + right_down, source);
}

}  // namespace aatgs::stencil
