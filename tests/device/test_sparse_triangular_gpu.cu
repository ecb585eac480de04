// SPDX-License-Identifier: Apache-2.0
// The triangular suite on the GPU's executors, and a large problem.
#include "../brief.hpp"
#include "../integrations/triangular_suite.hpp"

namespace aatgs::linear::test {

std::vector<ContextOptions> triangular_executors() {
  std::vector<ContextOptions> all;
  using Kinds = std::vector<ExecutorKind>;
  for (const auto kind : aatgs::test::brief_or(
           Kinds{ExecutorKind::resident}, Kinds{ExecutorKind::resident, ExecutorKind::launch})) {
    ContextOptions options;
    options.executor = kind;
    options.workers = 5;
    all.push_back(options);
  }
  return all;
}

TEST_CASE("triangular solve: a million rows, or several chunks a block, come out wrong") {
  const bool brief = aatgs::test::brief_or(true, false);
  for (const auto& [matrix, chunk_rows] :
       {std::pair(brief ? poisson_2d(50, 40) : poisson_2d(1000, 1000), 0U),
        std::pair(brief ? poisson_3d(9, 9, 9) : poisson_3d(60, 61, 62), 500U)}) {
    const IncompleteFactors factors = incomplete_lu(matrix);
    TriangularOptions options;
    options.context.executor = ExecutorKind::resident;
    options.chunk_rows = chunk_rows;
    const std::vector<double> b = random_vector(matrix.row_count(), 1);
    SparseTriangular lower({factors.lower, Triangle::lower, Diagonal::unit}, options);
    const std::vector<double> y = lower.solve(b);
    CHECK(excess(factors.lower, y, b) <= 1);
    SparseTriangular upper({factors.upper, Triangle::upper}, options);
    const std::vector<double> x = upper.solve(y);
    CHECK(excess(factors.upper, x, y) <= 1);
    CHECK(upper.solve(y) == x);
  }
}

}  // namespace aatgs::linear::test
