// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace aatgs::linear {

/// Where the matrix lies while it is iterated on.
enum class CgPlace {
  automatic,  ///< on the chip if it fits
  chip,       ///< in the blocks' shared memory, with all vectors; one grid barrier an iteration
  memory,     ///< in GPU memory, read in every iteration; two grid barriers
};

struct CgOptions {
  /// Executor, device, workers; the scope is always grid, `telemetry_policy` stays `block`.
  ContextOptions context;
  CgPlace place = CgPlace::automatic;
  /// Relative residual to reach. 0: none is small enough, so it goes on for `max_iterations`, or
  /// until the squares of the residual leave float64 (around 1e-160 by its recurrence), and has
  /// then `stagnated` or `broken_down`, with x as good as rounding allows.
  double tolerance = 1e-8;
  std::uint64_t max_iterations = 100'000;
  std::uint32_t slice = 100;      ///< iterations of one config
  std::size_t scratch_bytes = 0;  ///< most shared memory of a block; 0: what the device has
  /// Longest wait for one slice.
  std::chrono::nanoseconds slice_deadline = std::chrono::minutes(2);
};

/// How a solve ended.
enum class CgOutcome {
  converged,        ///< the residual of x, computed anew, is within the tolerance
  iteration_limit,  ///< not within so many iterations
  stagnated,        ///< rounding keeps the residual of x above the tolerance
  broken_down,      ///< the matrix is not positive definite, or numbers leave float64
};

struct CgResult {
  std::vector<double> x;
  CgOutcome outcome = CgOutcome::broken_down;
  std::uint64_t iterations = 0;
  double relative_residual = 0;    ///< ||b - A x|| / ||b||, by the host in float64; 0 for b = 0
  double recurrence_residual = 0;  ///< the same as the iteration last believed it
  std::uint32_t restarts = 0;      ///< times that the two disagreed and it went on from x
  double seconds = 0;  ///< from queueing the first slice to seeing the last, restarts included
  ExecutionStatistics stats;  ///< of the context, since the last `solve` began
};

/// Conjugate gradients for A x = b with A symmetric positive definite, on all of an executor. See
/// cg_chip_step.hpp and cg_memory_step.hpp for the algorithms. Not thread-safe.
class CgSolver {
 public:
  /// Where the largest entry of a matrix may lie, so that squares of A p stay within float64 for
  /// any residual that rounding allows. Others: scale A and b by a power of two, which is exact.
  static constexpr double least_entry = 1e-100;
  static constexpr double most_entry = 1e100;

  /// Puts the matrix where it is worked on; `matrix` must outlive the solver. Throws `InputError`
  /// if it is not square and exactly symmetric, or its largest entry by magnitude is neither 0 nor
  /// from `least_entry` to `most_entry`; `OptionError`, `DeviceError`.
  explicit CgSolver(const CsrMatrix& matrix, const CgOptions& options = {});
  ~CgSolver();
  CgSolver(const CgSolver&) = delete;
  CgSolver& operator=(const CgSolver&) = delete;

  /// Starts from x = 0. When the iteration says that it has converged but the residual of x, which
  /// the host computes, says otherwise, it goes on from x with that residual (iterative
  /// refinement), as long as this halves it. Throws `UseError` if b has the wrong size or a value
  /// that is not finite, `TimeoutError` if a slice takes longer than its deadline; do not go on
  /// using the solver after that.
  CgResult solve(std::span<const double> b);

  /// Where the matrix lies: never `automatic`.
  [[nodiscard]] CgPlace place() const;
  /// What it runs on, and how the matrix is laid out.
  [[nodiscard]] std::string description() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string_view to_string(CgOutcome outcome);

}  // namespace aatgs::linear
