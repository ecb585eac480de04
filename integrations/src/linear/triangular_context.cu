// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/make_context.cuh>

#include "triangular_context.hpp"

namespace aatgs::linear {

SparseTriangular::Context make_triangular_context(const TriangularStep& step,
                                                  const ContextOptions& options) {
  return make_context<TriangularRun, TriangularDone>(step, options);
}

}  // namespace aatgs::linear
