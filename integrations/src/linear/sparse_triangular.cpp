// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/linear/sparse_triangular.hpp>
#include <algorithm>
#include <deque>
#include <string>

#include "../solver_options.hpp"
#include "cg_context.hpp"
#include "fixed_workers.hpp"
#include "triangular_context.hpp"
#include "triangular_plan.hpp"

namespace aatgs::linear {
namespace {

ContextOptions settle(const ContextOptions& options) {
  check_grid_solver_options(options);
  return fix_workers(options, choose_executor(options.executor, options.device));
}

/// The executor gives a solve up after its deadline, so the host waits longer to hear of it.
std::chrono::nanoseconds twice(std::chrono::nanoseconds deadline) {
  constexpr auto longest = std::chrono::nanoseconds::max();
  return deadline > longest / 2 ? longest : deadline * 2;
}

std::string in_ns(std::chrono::nanoseconds time) {
  return std::to_string(time.count()) + " ns";
}

std::uint32_t parts_of(const ContextOptions& settled) {
  return is_on_host(settled.executor) ? settled.cpu_threads : settled.workers;
}

/// One factor in the memory of its executor.
class Arrays {
 public:
  Arrays(MemoryKind where, const ContextOptions& options, const Elimination& triangle,
         const TriangularPlan& plan, std::chrono::nanoseconds deadline)
      : levels(triangle.level_count),
        chunk_rows(plan.chunk_rows),
        chunks_(where, plan.chunks, options.device),
        externals_(where, plan.externals, options.device),
        metas_(where, plan.metas, options.device),
        scales_(where, plan.scales, options.device),
        codes_(where, plan.codes, options.device),
        factors_(where, plan.factors, options.device),
        early_begin_(where, plan.early_begin, options.device),
        early_codes_(where, plan.early_codes, options.device),
        early_factors_(where, plan.early_factors, options.device),
        mailbox_(where, triangle.rows(), options.device),
        epochs_(where, parts_of(options), options.device),
        given_up_(where, 1, options.device) {
    view.chunks = chunks_.data();
    view.externals = externals_.data();
    view.metas = metas_.data();
    view.scales = scales_.data();
    view.codes = codes_.data();
    view.factors = factors_.data();
    view.early_begin = early_begin_.data();
    view.early_codes = early_codes_.data();
    view.early_factors = early_factors_.data();
    view.mailbox = mailbox_.data();
    view.epochs = epochs_.data();
    view.given_up = given_up_.data();
    view.deadline_ns = static_cast<std::uint64_t>(deadline.count());
    view.scratch_bytes = plan.scratch_bytes;
    view.rows = triangle.rows();
    view.chunk_count = static_cast<std::uint32_t>(plan.chunks.size());
    view.parts = parts_of(options);
    view.width = plan.width;
    view.reversed = triangle.reversed;
    view.has_far = plan.has_far;
  }

  std::uint32_t levels;
  std::uint32_t chunk_rows;
  TriangularView view{};

 private:
  Buffer<TriangularChunk> chunks_;
  Buffer<std::uint32_t> externals_, metas_;
  Buffer<double> scales_;
  Buffer<std::uint32_t> codes_;
  Buffer<double> factors_;
  Buffer<std::uint32_t> early_begin_, early_codes_;
  Buffer<double> early_factors_;
  Buffer<Granule> mailbox_;
  Buffer<std::uint64_t> epochs_, given_up_;
};

void check(std::span<const TriangularFactor> factors, const TriangularOptions& options) {
  if (options.solve_deadline <= std::chrono::nanoseconds::zero()) {
    throw OptionError("solve_deadline of " + in_ns(options.solve_deadline) +
                      ": give a solve some time");
  }
  if (factors.empty()) throw UseError("a triangular solve without factors: give at least one");
  for (const TriangularFactor& factor : factors) {
    if (factor.matrix.row_count() == factors.front().matrix.row_count()) continue;
    throw UseError("triangular solves one after the other with " +
                   std::to_string(factors.front().matrix.row_count()) + " and " +
                   std::to_string(factor.matrix.row_count()) +
                   " rows: all factors must have as many");
  }
}

}  // namespace

struct SparseTriangular::State {
  State(std::span<const TriangularFactor> factors, const TriangularOptions& o)
      : options(o), settled(settle(o.context)) {
    const MemoryKind where = memory_of(settled.executor);
    const std::size_t most = most_scratch(settled.executor, settled.device);
    const std::size_t scratch = o.scratch_bytes == 0 ? most : std::min(most, o.scratch_bytes);
    TriangularStep step{0};
    for (const TriangularFactor& factor : factors) {
      const Elimination triangle = eliminate(factor);
      const TriangularPlan plan =
          plan_triangular(triangle, {parts_of(settled), scratch, o.chunk_rows});
      arrays.emplace_back(where, settled, triangle, plan, o.solve_deadline);
      step.scratch = std::max(step.scratch, plan.scratch_bytes);
    }
    const std::size_t rows = factors.front().matrix.row_count();
    b.emplace(where, rows, settled.device);
    x.emplace(where, rows, settled.device);
    context.emplace(make_triangular_context(step, settled));
  }

  void collect(const Context::Done& done) {
    --in_flight;
    if (!done.ok()) failed_code = done.code;
  }

  TriangularOptions options;
  ContextOptions settled;
  std::deque<Arrays> arrays;
  std::optional<Buffer<double>> b, x;
  std::uint64_t in_flight = 0;
  std::uint32_t failed_code = 0;   // of a solve since the last wait
  std::optional<Context> context;  // last: it must end before what its steps use
};

SparseTriangular::SparseTriangular(std::span<const TriangularFactor> factors,
                                   const TriangularOptions& options) {
  check(factors, options);
  state_ = std::make_unique<State>(factors, options);
}

SparseTriangular::~SparseTriangular() = default;

void SparseTriangular::queue(const double* b, double* x) {
  for (const Arrays& factor : state_->arrays) {
    const TriangularRun run{factor.view, b, x};
    while (!state_->context->try_queue(run)) {
      const auto done = state_->context->wait(state_->options.solve_deadline);
      if (!done) {
        throw TimeoutError("no room for a triangular solve within its deadline of " +
                           in_ns(state_->options.solve_deadline) + " with " +
                           std::to_string(state_->in_flight) +
                           " on their way: give it more time with solve_deadline; " +
                           state_->context->hang_report());
      }
      state_->collect(*done);
    }
    ++state_->in_flight;
    b = x;
  }
}

void SparseTriangular::wait() {
  while (state_->in_flight > 0) {
    const auto done = state_->context->wait(twice(state_->options.solve_deadline));
    if (!done) {
      throw TimeoutError("a triangular solve was not done within twice its deadline of " +
                         in_ns(state_->options.solve_deadline) +
                         ": give it more time with solve_deadline; " +
                         state_->context->hang_report());
    }
    state_->collect(*done);
  }
  const std::uint32_t code = std::exchange(state_->failed_code, 0U);
  if (code == static_cast<std::uint32_t>(TriangularFailure::other_shape)) {
    throw UseError("a triangular solve on another number of blocks than the " +
                   std::to_string(parts_of(state_->settled)) +
                   " that it was laid out for: leave the parts of its view as they are");
  }
  if (code != 0) {
    throw TimeoutError("a triangular solve was given up by its executor (code " +
                       std::to_string(code) + ", its deadline is " +
                       in_ns(state_->options.solve_deadline) +
                       "): give it more time with solve_deadline");
  }
}

std::vector<double> SparseTriangular::solve(std::span<const double> b) {
  if (b.size() != rows()) {
    throw UseError("a triangular solve for a right-hand side of " + std::to_string(b.size()) +
                   " values with " + std::to_string(rows()) + " rows");
  }
  state_->b->upload(b);
  queue(state_->b->data(), state_->x->data());
  wait();
  return state_->x->download();
}

std::uint32_t SparseTriangular::rows() const {
  return state_->arrays.front().view.rows;
}
std::uint32_t SparseTriangular::levels(std::size_t factor) const {
  return state_->arrays.at(factor).levels;
}
const TriangularView& SparseTriangular::view(std::size_t factor) const {
  return state_->arrays.at(factor).view;
}
SparseTriangular::Context& SparseTriangular::context() {
  return *state_->context;
}

std::string SparseTriangular::description() const {
  std::string text = state_->context->description();
  for (const Arrays& factor : state_->arrays) {
    text += "; " + std::to_string(factor.view.rows) + " rows in " + std::to_string(factor.levels) +
            " levels, chunks of " + std::to_string(factor.chunk_rows);
  }
  return text;
}

}  // namespace aatgs::linear
