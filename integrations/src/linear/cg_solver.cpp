// SPDX-License-Identifier: Apache-2.0
#include <aatgs/integrations/linear/cg_solver.hpp>
#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "../solver_options.hpp"
#include "cg_arrays.hpp"
#include "cg_context.hpp"
#include "fixed_workers.hpp"

namespace aatgs::linear {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double norm(std::span<const double> v) {
  double sum = 0;
  for (const double value : v) sum += value * value;
  return std::sqrt(sum);
}

void check_magnitude(const CsrMatrix& matrix) {
  double largest = 0;
  for (const double value : matrix.values()) largest = std::max(largest, std::abs(value));
  const bool is_good = largest >= CgSolver::least_entry && largest <= CgSolver::most_entry;
  if (largest == 0 || is_good) return;
  std::ostringstream text;
  text << "conjugate gradients on a matrix whose largest entry is " << largest
       << ": squares of its products may leave float64; scale A and b by a power of two so that it "
          "is from "
       << CgSolver::least_entry << " to " << CgSolver::most_entry << ", x stays the same";
  throw InputError(text.str());
}

void check(const CsrMatrix& matrix, const CgOptions& options) {
  if (!(options.tolerance >= 0 && options.tolerance < 1)) {
    throw OptionError("tolerance = " + std::to_string(options.tolerance) +
                      ": give a relative residual of at least 0 and below 1");
  }
  if (options.slice == 0) throw OptionError("slice = 0: give at least 1 iteration a config");
  if (options.max_iterations == 0) throw OptionError("max_iterations = 0: give at least 1");
  if (matrix.row_count() != matrix.column_count()) {
    throw InputError("conjugate gradients on a matrix of " + std::to_string(matrix.row_count()) +
                     " x " + std::to_string(matrix.column_count()) + ": it must be square");
  }
  if (const auto odd = matrix.asymmetry()) {
    throw InputError("conjugate gradients on a matrix that is not symmetric: entry (" +
                     std::to_string(odd->row) + ", " + std::to_string(odd->column) +
                     ") has no equal mirror image");
  }
  check_magnitude(matrix);
}

}  // namespace

struct CgSolver::State {
  State(const CsrMatrix& a, const CgOptions& o, const ExecutorChoice& choice)
      : matrix(a),
        options(o),
        settled(fix_workers(o.context, choice)),
        vectors(memory_of(choice.kind), settled.device, a.row_count()) {
    const bool on_cpu = is_on_host(choice.kind);
    const std::uint32_t parts = on_cpu ? settled.cpu_threads : settled.workers;
    const std::size_t most = most_scratch(choice.kind, settled.device);
    const std::size_t budget = o.scratch_bytes == 0 ? most : std::min(most, o.scratch_bytes);
    if (o.place == CgPlace::memory || !put_on_chip(parts, budget)) put_in_memory(parts, budget);
  }

  /// False: it does not fit. Throws `OptionError` if it must.
  bool put_on_chip(std::uint32_t parts, std::size_t budget) {
    lanes = choose_lanes(matrix);
    const auto plan = plan_chip(matrix, lanes, share_slices(matrix, lanes, parts), budget);
    if (!plan && options.place == CgPlace::chip) {
      throw OptionError("a matrix of " + std::to_string(matrix.row_count()) + " rows and " +
                        std::to_string(matrix.entry_count()) +
                        " entries does not fit on the chip: " + std::to_string(parts) +
                        " blocks have " + std::to_string(budget) +
                        " bytes each; leave the place to 'automatic'");
    }
    if (!plan) return false;
    chip.emplace(memory_of(settled.executor), settled.device, *plan, matrix.row_count());
    managed.emplace(make_cg_context(chip->view(vectors, lanes), settled));
    return true;
  }

  void put_in_memory(std::uint32_t parts, std::size_t budget) {
    order = even_order(matrix);
    const auto renumbered =
        order.empty() ? std::optional<CsrMatrix>() : std::optional(renumber(matrix, order));
    const CsrMatrix& laid_out = renumbered ? *renumbered : matrix;
    lanes = choose_lanes(laid_out);
    memory.emplace(memory_of(settled.executor), settled.device, laid_out, lanes, parts, budget,
                   cache_bytes(settled.executor, settled.device));
    managed.emplace(make_cg_context(memory->view(vectors), settled));
  }

  void upload_b(std::span<const double> b) {
    if (order.empty()) return vectors.b.upload(b);
    std::vector<double> ordered(b.size());
    for (std::size_t i = 0; i < b.size(); ++i) ordered[i] = b[order[i]];
    vectors.b.upload(ordered);
  }

  std::vector<double> download_x() {
    std::vector<double> x = vectors.x.download();
    if (order.empty()) return x;
    std::vector<double> given(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) given[order[i]] = x[i];
    return given;
  }

  /// Runs slices until the tolerance is reached or `budget` iterations are done.
  CgProgress iterate(double tolerance, std::uint64_t budget);
  ManagedCg::Done next_done();
  [[nodiscard]] ManagedCg::Context& context() { return managed->context(); }

  const CsrMatrix& matrix;
  CgOptions options;
  ContextOptions settled;
  std::uint32_t lanes = 1;
  std::vector<std::uint32_t> order;  // of the rows in memory; empty: as in the matrix
  Vectors vectors;
  std::optional<ChipArrays> chip;
  std::optional<MemoryArrays> memory;
  std::optional<ManagedCg> managed;  // last: it must end before what its steps use
};

ManagedCg::Done CgSolver::State::next_done() {
  const auto done = context().wait(options.slice_deadline);
  if (!done) {
    throw TimeoutError("a slice of " + std::to_string(options.slice) +
                       " conjugate gradient iterations was not done within its deadline of " +
                       std::to_string(options.slice_deadline.count()) +
                       " ns: give slices fewer iterations or slice_deadline more time; " +
                       context().hang_report());
  }
  if (!done->ok()) {
    throw UseError("the conjugate gradient step failed with code " + std::to_string(done->code) +
                   ": it runs on another number of blocks than the matrix was cut up for; report "
                   "this");
  }
  return *done;
}

CgProgress CgSolver::State::iterate(double tolerance, std::uint64_t budget) {
  constexpr std::uint64_t ahead = 2;  // slices in flight, so that the GPU never waits for the host
  CgProgress progress{};
  std::uint64_t queued = 0;  // iterations
  std::uint64_t in_flight = 0;
  for (;;) {
    const bool over = progress.converged != 0 || progress.broken_down != 0 || queued == budget;
    if (over && in_flight == 0) break;
    if (!over && in_flight < ahead) {
      const auto count =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(options.slice, budget - queued));
      const CgSlice slice{tolerance, count, queued == 0 ? 1U : 0U};
      // With something in flight a full ring waits for us to collect, not the other way about.
      const QueueResult result = in_flight > 0 ? context().try_queue(slice)
                                               : context().queue(slice, options.slice_deadline);
      if (result) {
        queued += count;
        ++in_flight;
        continue;
      }
      if (in_flight == 0) {
        throw TimeoutError("no room for a conjugate gradient slice within its deadline of " +
                           std::to_string(options.slice_deadline.count()) +
                           " ns: give slice_deadline more time; " + context().hang_report());
      }
    }
    progress = next_done().telemetry;
    --in_flight;
  }
  return progress;
}

CgSolver::CgSolver(const CsrMatrix& matrix, const CgOptions& options) {
  check(matrix, options);
  check_grid_solver_options(options.context);
  state_ = std::make_unique<State>(
      matrix, options, choose_executor(options.context.executor, options.context.device));
}

CgSolver::~CgSolver() = default;

CgResult CgSolver::solve(std::span<const double> b) {
  State& state = *state_;
  const std::size_t n = state.matrix.row_count();
  if (b.size() != n) {
    throw UseError("solving for a right-hand side of " + std::to_string(b.size()) +
                   " values with a matrix of " + std::to_string(n) +
                   " rows: give b one value for each row");
  }
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(b[i])) {
      throw UseError("b[" + std::to_string(i) + "] is " + std::to_string(b[i]) +
                     ": give numbers that are finite");
    }
    largest = std::max(largest, std::abs(b[i]));
  }
  state.context().reset_stats();
  CgResult result;
  result.x.assign(n, 0.0);
  // Scaled by a power of two, which is exact, so that sums of squares neither over- nor underflow.
  const int exponent = largest > 0 ? std::ilogb(largest) : 0;
  std::vector<double> residual(n);
  for (std::size_t i = 0; i < n; ++i) residual[i] = std::scalbn(b[i], -exponent);
  const std::vector<double> scaled = residual;
  const double norm_of_b = norm(scaled);

  std::vector<double> product(n);
  double before = norm_of_b;
  for (;; ++result.restarts) {
    const double tolerance =
        before > 0 ? std::min(state.options.tolerance * norm_of_b / before, 0.5) : 0;
    state.upload_b(residual);
    const auto begin = Clock::now();
    const CgProgress progress =
        state.iterate(tolerance, state.options.max_iterations - result.iterations);
    result.seconds += seconds_since(begin);
    result.iterations += progress.iterations;
    const std::vector<double> correction = state.download_x();
    for (std::size_t i = 0; i < n; ++i) result.x[i] += correction[i];
    state.matrix.multiply(result.x, product);
    for (std::size_t i = 0; i < n; ++i) residual[i] = scaled[i] - product[i];
    const double now = norm(residual);
    result.relative_residual = norm_of_b > 0 ? now / norm_of_b : 0;
    result.recurrence_residual =
        norm_of_b > 0 ? progress.relative_residual * (before / norm_of_b) : 0;
    const bool reached = result.relative_residual <= state.options.tolerance;
    result.outcome = reached                     ? CgOutcome::converged
                     : progress.broken_down != 0 ? CgOutcome::broken_down
                     : progress.converged != 0   ? CgOutcome::stagnated
                                                 : CgOutcome::iteration_limit;
    const bool stopped = result.outcome != CgOutcome::stagnated;
    if (stopped || !(now < before / 2)) break;
    if (result.iterations >= state.options.max_iterations) {
      result.outcome = CgOutcome::iteration_limit;
      break;
    }
    before = now;
  }
  for (double& x : result.x) x = std::scalbn(x, exponent);
  result.stats = state.context().stats();
  return result;
}

CgPlace CgSolver::place() const {
  return state_->chip ? CgPlace::chip : CgPlace::memory;
}

std::string CgSolver::description() const {
  const State& state = *state_;
  const std::string layout =
      state.chip ? "on the chip" : "in GPU memory, " + state.memory->columns();
  return state.managed->context().description() + "; matrix " + layout + ", " +
         std::to_string(state.lanes) + (state.lanes == 1 ? " thread a row" : " threads a row") +
         (state.order.empty() ? "" : ", rows by length");
}

std::string_view to_string(CgOutcome outcome) {
  switch (outcome) {
    case CgOutcome::converged:
      return "converged";
    case CgOutcome::iteration_limit:
      return "iteration limit";
    case CgOutcome::stagnated:
      return "stagnated";
    case CgOutcome::broken_down:
      return "broken down";
  }
  return "unknown";
}

}  // namespace aatgs::linear
