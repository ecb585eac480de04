// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <cstdint>
#include <string>
#include <vector>
namespace aatgs::bench {

/// One road: its name in a figure, and the microseconds of an iteration in each run.
struct CgRoad {
  std::string name;
  std::vector<double> us;
};

/// Conjugate gradients by several roads on one matrix: so many iterations as a relative residual of
/// 1e-8 takes, the same for all; the residual of every road's x is checked by the host in float64.
struct CgComparison {
  std::uint64_t iterations = 0;
  CgRoad resident;              ///< `CgSolver`
  std::vector<CgRoad> library;  ///< cuSPARSE + cuBLAS by each road and matrix format
  std::string resident_layout;  ///< where ours keeps the matrix

  /// The fastest road of the libraries over ours, by medians.
  [[nodiscard]] double ratio() const;
};

/// `runs` solves by each road after one to warm up. Roads are named `cg_NAME_...`. The libraries
/// get device scalars, so that they never wait for the host, buffers and algorithms prepared
/// beforehand, CSR by both algorithms and sliced ELL, p = r + beta p fused into one kernel, and
/// both launches and a graph of 50 iterations. Throws Error if a residual is wrong, TimeoutError if
/// a run hangs.
CgComparison compare_cg(const std::string& name, const linear::CsrMatrix& matrix,
                        const ContextOptions& options, unsigned runs);

}  // namespace aatgs::bench
