// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <aatgs/integrations/linear/triangular_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace aatgs::linear {

enum class Triangle { lower, upper };
enum class Diagonal {
  stored,  ///< every row has one, not 0
  unit,    ///< it is 1: rows need not have one, and those that are there are 1
};

/// One triangle of a chain of solves. The matrix is only read while it is taken in.
struct TriangularFactor {
  const CsrMatrix& matrix;
  Triangle triangle = Triangle::lower;
  Diagonal diagonal = Diagonal::stored;
};

struct TriangularOptions {
  /// Executor, device, workers; the scope is always grid, `telemetry_policy` stays `block`.
  ContextOptions context;
  /// Consecutive rows that a block solves with their values in its scratch. 0: by an estimate of
  /// what is fastest, at most what fits.
  std::uint32_t chunk_rows = 0;
  std::size_t scratch_bytes = 0;  ///< most shared memory of a block; 0: what the device has
  /// Longest time of one solve on the executor, and longest wait of the host for it.
  std::chrono::nanoseconds solve_deadline = std::chrono::seconds(10);
};

/// x = T^-1 b for a sparse triangle T in float64, or for several one after the other, such as the
/// factors of an incomplete LU: see triangular_solve_step.hpp for how. The same b gives the same x,
/// bit by bit, in every run with the same layout. Not thread-safe.
class SparseTriangular {
 public:
  using Context = GpuExecutionContext<TriangularRun, TriangularDone>;

  /// Lays the triangles out on the executor's memory. Throws `InputError` that names the row for a
  /// matrix that is not square or has entries on the other side, for a diagonal that is missing, 0,
  /// or not 1 where it should be, and where an entry over its diagonal leaves float64; `UseError`
  /// for no factors, or factors of different sizes; `OptionError`, `DeviceError`.
  explicit SparseTriangular(std::span<const TriangularFactor> factors,
                            const TriangularOptions& options = {});
  explicit SparseTriangular(const TriangularFactor& factor, const TriangularOptions& options = {})
      : SparseTriangular(std::span(&factor, 1), options) {}
  ~SparseTriangular();
  SparseTriangular(const SparseTriangular&) = delete;
  SparseTriangular& operator=(const SparseTriangular&) = delete;

  /// Solves with all factors, the first one first. Values of b that are not finite go where they
  /// lead. Throws `UseError` if b has the wrong size, `TimeoutError` if a solve does not end within
  /// the deadline; the next call may throw it for the same solve once more.
  std::vector<double> solve(std::span<const double> b);

  // For vectors that are in the executor's memory already, and many solves on their way:

  /// Queues the solves of all factors, x = T^-1 b; `b` and `x` may be the same. Nothing else may
  /// touch them until `wait`. Throws `TimeoutError` if the ring stays full.
  void queue(const double* b, double* x);
  /// Waits for all that was queued. Throws as `solve` does.
  void wait();

  [[nodiscard]] std::uint32_t rows() const;
  /// Of the longest chain of rows that wait for each other, by factor.
  [[nodiscard]] std::uint32_t levels(std::size_t factor = 0) const;
  /// What a step of one's own needs; owned by this object.
  [[nodiscard]] const TriangularView& view(std::size_t factor = 0) const;
  [[nodiscard]] Context& context();
  /// What it runs on, and how the factors are laid out.
  [[nodiscard]] std::string description() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aatgs::linear
