// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/sparse_triangular.hpp>
#include <aatgs/integrations/linear/triangular_solve_step.hpp>

namespace aatgs::linear {

/// A build without CUDA has a version that makes the cpu executor only.
SparseTriangular::Context make_triangular_context(const TriangularStep& step,
                                                  const ContextOptions& options);

}  // namespace aatgs::linear
