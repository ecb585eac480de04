// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace aatgs::stencil {

/// How iterations are carried out; the iterates are the same, bit for bit.
enum class JacobiForm {
  automatic,  ///< tiles on a GPU if the field has 64 rows or more
  tiles,      ///< several iterations between two exchanges, on the chip where the field fits
  plain,      ///< one iteration from memory to memory, then a barrier
};

struct JacobiOptions {
  /// Executor, device, workers; the scope is always grid, `telemetry_policy` stays `block`.
  ContextOptions context;
  JacobiForm form = JacobiForm::automatic;
  PlanWishes tiles;            ///< for experiments; the planner knows best
  std::uint32_t slice = 1000;  ///< iterations of one config
  /// Longest wait for one slice.
  std::chrono::nanoseconds slice_deadline = std::chrono::minutes(2);
};

/// Jacobi's method in float32 for -(u_xx + u_yy) = f on the unit square with u = 0 on its edge, on
/// n x n inner points a distance of 1 / (n + 1) apart. Fields are row by row, without the edge.
/// Not thread-safe.
class PoissonJacobi {
 public:
  static constexpr std::uint32_t most_points = 32768;  ///< a side

  /// Starts from u = 0. Throws `OptionError`, `DeviceError`; `UseError` if f has not n * n values.
  PoissonJacobi(std::uint32_t n, std::span<const float> f, const JacobiOptions& options = {});
  ~PoissonJacobi();
  PoissonJacobi(const PoissonJacobi&) = delete;
  PoissonJacobi& operator=(const PoissonJacobi&) = delete;

  /// Runs that many iterations and returns the largest change of a point in the last one. Throws
  /// `UseError` for none, `TimeoutError` if a slice misses its deadline, `DeviceError` if the GPU
  /// fails; do not go on after the last two.
  double iterate(std::uint64_t iterations);

  /// u as it is now; and another one to go on from. Throws `UseError` if it has not n * n values.
  [[nodiscard]] std::vector<float> field() const;
  void set_field(std::span<const float> u);

  /// What it runs on, and how the field is cut up.
  [[nodiscard]] std::string description() const;
  [[nodiscard]] ExecutionStatistics stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// h^2 f / 4 as all kernels use it: computed in float64, rounded once.
std::vector<float> scaled_source(std::uint32_t n, std::span<const float> f);

/// ||f - A u|| / ||f|| in float64; ||A u|| for f = 0. Throws `UseError` unless both have n * n
/// values.
double relative_residual(std::uint32_t n, std::span<const float> f, std::span<const float> u);

}  // namespace aatgs::stencil
