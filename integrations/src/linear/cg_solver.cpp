// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/linear/cg_solver.hpp>
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "cg_context.hpp"
#include "chip_plan.hpp"

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
}

/// The context must have one block for each part of the matrix, so their number is fixed here.
ContextOptions settle(const CgOptions& options, const ExecutorChoice& choice) {
  ContextOptions settled = options.context;
  settled.scope = Scope::grid;
  settled.executor = choice.kind;
  if (choice.kind == ExecutorKind::cpu) {
    if (settled.cpu_threads == 0) {
      settled.cpu_threads = std::max(1U, std::thread::hardware_concurrency());
    }
  } else if (settled.workers == 0) {
    settled.workers = gpu_multiprocessors(settled.device);
    // Where a block fills an SM, the service block of a resident kernel needs one of its own.
    if (choice.kind == ExecutorKind::resident) --settled.workers;
  }
  return settled;
}

/// Vectors, in slices' room.
class Vectors {
 public:
  Vectors(MemoryKind where, int device, std::size_t n)
      : b(where, n, device),
        x(where, n, device),
        r(where, n, device),
        p(where, n, device),
        s(where, n, device),
        scalars(where, 1, device) {}

  Buffer<double> b, x, r, p;
  Buffer<double> s;  // q where the matrix is in memory
  Buffer<CgScalars> scalars;
};

class ChipArrays {
 public:
  ChipArrays(MemoryKind where, int device, const ChipPlan& plan, std::size_t n)
      : parts_(where, plan.parts, device),
        ghosts_(where, plan.ghosts, device),
        values_(where, plan.rows.values, device),
        columns_(where, plan.rows.columns, device),
        offsets_(where, plan.rows.offsets, device),
        w_(where, 2 * n, device),
        scratch_bytes_(plan.scratch_bytes) {}

  [[nodiscard]] CgChip view(const Vectors& v, std::uint32_t lanes) const {
    CgChip chip{};
    chip.parts = parts_.data();
    chip.part_count = static_cast<std::uint32_t>(parts_.size());
    chip.lanes = lanes;
    chip.scratch_bytes = scratch_bytes_;
    chip.values = values_.data();
    chip.columns = columns_.data();
    chip.offsets = offsets_.data();
    chip.ghosts = ghosts_.data();
    chip.b = v.b.data();
    chip.x = v.x.data();
    chip.r = v.r.data();
    chip.p = v.p.data();
    chip.s = v.s.data();
    chip.w = w_.data();
    chip.n = w_.size() / 2;
    chip.scalars = v.scalars.data();
    return chip;
  }

 private:
  Buffer<ChipPart> parts_;
  Buffer<std::uint32_t> ghosts_;
  Buffer<double> values_;
  Buffer<std::uint16_t> columns_;
  Buffer<std::uint32_t> offsets_;
  Buffer<double> w_;
  std::size_t scratch_bytes_;
};

bool columns_are_near(const CsrMatrix& matrix) {
  for (std::uint32_t i = 0; i < matrix.row_count(); ++i) {
    if (matrix.row_length(i) == 0) continue;
    const std::int64_t first = matrix.columns()[matrix.offsets()[i]];
    const std::int64_t last = matrix.columns()[matrix.offsets()[i + std::size_t{1}] - 1];
    using Near = std::numeric_limits<std::int16_t>;
    if (first - i < Near::min() || last - i > Near::max()) return false;
  }
  return true;
}

class MemoryArrays {
 public:
  MemoryArrays(MemoryKind where, int device, const CsrMatrix& matrix, std::uint32_t lanes,
               std::span<const std::uint32_t> bounds, std::size_t scratch_bytes)
      : bounds_(where, bounds, device), rows_(matrix.row_count()), lanes_(lanes) {
    std::uint32_t widest = 0;
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
      widest = std::max(widest, bounds[i + 1] - bounds[i]);
    }
    const std::size_t most_rows = std::size_t{widest} * (slice_entries / lanes);
    scratch_rows_ = static_cast<std::uint32_t>(std::min(most_rows, scratch_bytes / sizeof(double)));
    if (columns_are_near(matrix)) {
      put(
          where, device, near_, matrix,
          [](std::uint32_t row, std::uint32_t column) {
            return static_cast<std::int16_t>(static_cast<std::int64_t>(column) - row);
          },
          [](std::uint32_t) { return std::int16_t{0}; });
    } else {
      put(
          where, device, far_, matrix, [](std::uint32_t, std::uint32_t column) { return column; },
          [](std::uint32_t row) { return row; });
    }
  }

  [[nodiscard]] bool near() const { return near_.has_value(); }

  [[nodiscard]] CgMemory view(const Vectors& v) const {
    CgMemory memory{};
    memory.slice_bounds = bounds_.data();
    memory.part_count = static_cast<std::uint32_t>(bounds_.size() - 1);
    memory.lanes = lanes_;
    memory.scratch_bytes = scratch_rows_ * sizeof(double);
    memory.rows = rows_;
    memory.scratch_rows = scratch_rows_;
    memory.values = values_->data();
    memory.near_columns = near_ ? near_->data() : nullptr;
    memory.far_columns = far_ ? far_->data() : nullptr;
    memory.offsets = offsets_->data();
    memory.b = v.b.data();
    memory.x = v.x.data();
    memory.r = v.r.data();
    memory.p = v.p.data();
    memory.q = v.s.data();
    memory.scalars = v.scalars.data();
    return memory;
  }

 private:
  template <class Column, class Code, class Pad>
  void put(MemoryKind where, int device, std::optional<Buffer<Column>>& columns,
           const CsrMatrix& matrix, Code code, Pad pad) {
    SlicedArrays<Column> rows;
    rows.append(matrix, lanes_, 0, matrix.row_count(), code, pad);
    values_.emplace(where, rows.values, device);
    columns.emplace(where, rows.columns, device);
    offsets_.emplace(where, rows.offsets, device);
  }

  Buffer<std::uint32_t> bounds_;
  std::uint32_t rows_;
  std::uint32_t lanes_;
  std::uint32_t scratch_rows_ = 0;
  std::optional<Buffer<double>> values_;
  std::optional<Buffer<std::int16_t>> near_;
  std::optional<Buffer<std::uint32_t>> far_;
  std::optional<Buffer<std::uint32_t>> offsets_;
};

}  // namespace

struct CgSolver::State {
  State(const CsrMatrix& a, const CgOptions& o, const ExecutorChoice& choice)
      : matrix(a),
        options(o),
        settled(settle(o, choice)),
        lanes(choose_lanes(a)),
        bounds(share_slices(
            a, lanes, choice.kind == ExecutorKind::cpu ? settled.cpu_threads : settled.workers)),
        vectors(memory_of(choice.kind), settled.device,
                std::size_t{bounds.back()} * (slice_entries / lanes)) {
    const std::size_t most = most_scratch(choice.kind, settled.device);
    const std::size_t budget = o.scratch_bytes == 0 ? most : std::min(most, o.scratch_bytes);
    const MemoryKind where = memory_of(choice.kind);
    if (o.place != CgPlace::memory) {
      const auto plan = plan_chip(a, lanes, bounds, budget);
      if (plan) chip.emplace(where, settled.device, *plan, vectors.b.size());
      if (!plan && o.place == CgPlace::chip) {
        throw OptionError("a matrix of " + std::to_string(a.row_count()) + " rows and " +
                          std::to_string(a.entry_count()) + " entries does not fit on the chip: " +
                          std::to_string(bounds.size() - 1) + " blocks have " +
                          std::to_string(budget) + " bytes each; leave the place to 'automatic'");
      }
    }
    if (chip) {
      context.emplace(make_cg_context(chip->view(vectors, lanes), settled));
    } else {
      memory.emplace(where, settled.device, a, lanes, bounds, budget);
      context.emplace(make_cg_context(memory->view(vectors), settled));
    }
  }

  /// Runs slices until the tolerance is reached or `budget` iterations are done.
  CgProgress iterate(double tolerance, std::uint64_t budget);
  CgContext::Done next_done();

  const CsrMatrix& matrix;
  CgOptions options;
  ContextOptions settled;
  std::uint32_t lanes;
  std::vector<std::uint32_t> bounds;  // of parts, in slices
  Vectors vectors;
  std::optional<ChipArrays> chip;
  std::optional<MemoryArrays> memory;
  std::optional<CgContext> context;  // last: it must end before what its steps use
};

CgContext::Done CgSolver::State::next_done() {
  const auto done = context->wait(options.slice_deadline);
  if (!done) {
    throw TimeoutError("a slice of " + std::to_string(options.slice) +
                       " conjugate gradient iterations was not done within its deadline: give "
                       "slices fewer iterations or slice_deadline more time");
  }
  if (!done->ok()) {
    throw UseError(
        "conjugate gradients run on another number of blocks than the matrix was cut "
        "up for (" +
        std::to_string(bounds.size() - 1) + ")");
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
      const QueueResult result =
          in_flight > 0 ? context->try_queue(slice) : context->queue(slice, options.slice_deadline);
      if (result) {
        queued += count;
        ++in_flight;
        continue;
      }
      if (in_flight == 0) {
        throw TimeoutError("no room for a conjugate gradient slice within its deadline");
      }
    }
    progress = next_done().telemetry;
    --in_flight;
  }
  return progress;
}

CgSolver::CgSolver(const CsrMatrix& matrix, const CgOptions& options) {
  check(matrix, options);
  check_options(options.context);
  state_ = std::make_unique<State>(
      matrix, options, choose_executor(options.context.executor, options.context.device));
}

CgSolver::~CgSolver() = default;

CgResult CgSolver::solve(std::span<const double> b) {
  State& state = *state_;
  const std::size_t n = state.matrix.row_count();
  if (b.size() != n) {
    throw UseError("solving for a right-hand side of " + std::to_string(b.size()) +
                   " values with a matrix of " + std::to_string(n) + " rows");
  }
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(b[i])) {
      throw UseError("b[" + std::to_string(i) + "] is not a finite number");
    }
    largest = std::max(largest, std::abs(b[i]));
  }
  state.context->reset_stats();
  CgResult result;
  result.x.assign(n, 0.0);
  // Scaled by a power of two, which is exact, so that sums of squares neither over- nor underflow.
  const int exponent = largest > 0 ? std::ilogb(largest) : 0;
  std::vector<double> residual(n);
  for (std::size_t i = 0; i < n; ++i) residual[i] = std::scalbn(b[i], -exponent);
  const std::vector<double> scaled = residual;
  const double norm_of_b = norm(scaled);

  std::vector<double> correction(n);
  std::vector<double> product(n);
  double before = norm_of_b;
  for (;; ++result.restarts) {
    const double tolerance =
        before > 0 ? std::min(state.options.tolerance * norm_of_b / before, 0.5) : 0;
    state.vectors.b.upload(residual);
    const auto begin = Clock::now();
    const CgProgress progress =
        state.iterate(tolerance, state.options.max_iterations - result.iterations);
    result.seconds += seconds_since(begin);
    result.iterations += progress.iterations;
    state.vectors.x.download(std::span<double>(correction));
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
  result.stats = state.context->stats();
  return result;
}

CgPlace CgSolver::place() const {
  return state_->chip ? CgPlace::chip : CgPlace::memory;
}

std::string CgSolver::description() const {
  const State& state = *state_;
  std::string layout = "in GPU memory, 32-bit columns";
  if (state.chip) layout = "on the chip";
  if (state.memory && state.memory->near()) layout = "in GPU memory, 16-bit columns";
  return state.context->description() + "; matrix " + layout + ", " + std::to_string(state.lanes) +
         (state.lanes == 1 ? " thread a row" : " threads a row");
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
