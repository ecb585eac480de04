// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// The 5-point Laplacian on nx x ny inner points with zero boundary values: 4 on the diagonal, -1
/// for each neighbor; point (x, y) is row `y * nx + x`. Symmetric positive definite. OptionError
/// unless both are at least 1 and nx ny <= max_matrix_size.
CsrMatrix poisson_2d(std::size_t nx, std::size_t ny);

/// The 7-point Laplacian on nx x ny x nz inner points: 6 on the diagonal, -1 for each neighbor;
/// point (x, y, z) is row `(z * ny + y) * nx + x`. OptionError as above.
CsrMatrix poisson_3d(std::size_t nx, std::size_t ny, std::size_t nz);

/// An unstructured matrix: I + L of a random geometric graph, whose `n` points lie in the unit
/// square and are joined when they are near; rows have about `degree` neighbors, of very different
/// number, and near points have near numbers. L is the graph's Laplacian with the weights 1 -
/// (d/r)^2 / 2 at distance d, r being the radius. Symmetric positive definite, its smallest
/// eigenvalue is 1. The same for a seed on every platform. OptionError unless 1 <= n <=
/// max_matrix_size and 0 <= degree <= 256 is finite.
CsrMatrix geometric_laplacian(std::size_t n, double degree, std::uint64_t seed);

}  // namespace aatgs::linear
