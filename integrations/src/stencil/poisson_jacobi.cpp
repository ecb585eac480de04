// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/stencil/poisson_jacobi.hpp>
#include <algorithm>
#include <cmath>
#include <optional>

#include "../solver_options.hpp"
#include "jacobi_context.hpp"
#include "padded_field.hpp"

namespace aatgs::stencil {
namespace {

void check(std::uint32_t n, std::size_t values, const JacobiOptions& options) {
  if (n < 1 || n > PoissonJacobi::most_points) {
    throw OptionError("n = " + std::to_string(n) + ": give 1 to " +
                      std::to_string(PoissonJacobi::most_points) + " points a side");
  }
  check_values(n, values);
  if (options.slice == 0) throw OptionError("slice = 0: give at least 1 iteration a config");
}

/// Blocks that a plan may count on.
std::uint32_t blocks_for(const ContextOptions& options, ExecutorKind kind) {
  if (options.workers != 0) return options.workers;
  // Where a block fills an SM, the service block of a resident kernel needs one of its own.
  return gpu_multiprocessors(options.device) - (kind == ExecutorKind::resident ? 1 : 0);
}

std::optional<PlannedShape> choose_plan(std::uint32_t n, const JacobiOptions& options,
                                        ExecutorKind kind) {
  const bool forced = options.form == JacobiForm::tiles;
  if (options.form == JacobiForm::plain || (is_on_host(kind) && !forced)) return {};
  if (is_on_host(kind)) {
    throw OptionError("Jacobi on tiles with the executor '" + std::string(to_string(kind)) +
                      "': tiles are for GPUs, use 'plain'");
  }
  const std::uint32_t blocks = blocks_for(options.context, kind);
  const ChipLimits limits{static_cast<std::int32_t>(blocks),
                          most_tile_scratch(options.context.device)};
  auto plan = plan_tiles(static_cast<std::int32_t>(n), limits, tile_shapes(), options.tiles);
  const bool wished = !options.tiles.shape.empty() || options.tiles.depth != 0;
  if (plan || (!forced && !wished)) return plan;
  std::string known;
  for (const ShapeTraits& shape : tile_shapes()) known += " " + shape.name();
  throw OptionError("no tiles of shape '" + options.tiles.shape + "' and depth " +
                    std::to_string(options.tiles.depth) + " for n = " + std::to_string(n) + " on " +
                    std::to_string(blocks) + " blocks; the shapes are" + known +
                    ", a depth of 0 leaves it to the planner");
}

}  // namespace

struct PoissonJacobi::State {
  State(std::uint32_t points, const JacobiOptions& o, ExecutorKind kind)
      : n(points),
        options(o),
        planned(choose_plan(points, o, kind)),
        layout(planned ? planned->plan.layout
                       : FieldLayout::of(static_cast<std::int32_t>(points), 0)),
        where(memory_of(kind)),
        field(where, layout.size(), o.context.device),
        source(where, layout.size(), o.context.device),
        spare(where, layout.size(), o.context.device),
        second_spare(where, planned ? layout.size() : 1, o.context.device),
        flags(where, planned ? static_cast<std::size_t>(planned->plan.tiles() * flag_stride) : 1,
              o.context.device),
        hang(planned ? MemoryKind::mapped : MemoryKind::host, 1, o.context.device) {
    options.context.scope = Scope::grid;
    options.context.executor = kind;
  }

  void open();
  [[nodiscard]] std::string describe_hang() const;
  JacobiContext::Done next_done();

  static constexpr std::int32_t flag_stride = TileMemory<float>::flag_stride;

  std::uint32_t n;
  JacobiOptions options;
  std::optional<PlannedShape> planned;
  FieldLayout layout;
  MemoryKind where;
  Buffer<float> field;
  Buffer<float> source;
  Buffer<float> spare;
  Buffer<float> second_spare;
  Buffer<std::uint32_t> flags;
  Buffer<TileHang> hang;
  std::optional<JacobiContext> context;  // last: it must end before what its steps use
};

void PoissonJacobi::State::open() {
  if (!planned) {
    context.emplace(
        make_plain_context({layout, field.data(), spare.data(), source.data()}, options.context));
    return;
  }
  TileMemory<float> memory{};
  memory.plan = planned->plan;
  memory.field = field.data();
  memory.spare[0] = spare.data();
  memory.spare[1] = second_spare.data();
  memory.source = source.data();
  memory.flags = flags.data();
  memory.hang = hang.data();
  memory.deadline_ns = static_cast<std::uint64_t>(options.context.step_deadline.count());
  // Blocks without a tile would only make barriers slower.
  const std::uint32_t blocks = blocks_for(options.context, options.context.executor);
  options.context.workers = std::min(blocks, static_cast<std::uint32_t>(memory.plan.tiles()));
  context.emplace(make_tile_context(planned->shape, memory, options.context));
}

std::string PoissonJacobi::State::describe_hang() const {
  const TileHang& h = *hang.data();
  if (h.expected == 0) return "";
  return "; tile " + std::to_string(h.tile) + " waited for exchange " + std::to_string(h.expected) +
         " of tile " + std::to_string(h.neighbor) + ", which was at " + std::to_string(h.found);
}

JacobiContext::Done PoissonJacobi::State::next_done() {
  std::optional<JacobiContext::Done> done;
  try {
    done = context->wait(options.slice_deadline);
  } catch (const DeviceError& e) {
    throw DeviceError(e.what() + describe_hang(), e.code_name());
  }
  if (!done) {
    throw TimeoutError("a slice of " + std::to_string(options.slice) +
                       " Jacobi iterations was not done within its deadline of " +
                       std::to_string(options.slice_deadline.count()) +
                       " ns: give slices fewer iterations or slice_deadline more time; " +
                       context->hang_report() + describe_hang());
  }
  if (!done->ok()) {
    throw UseError("the Jacobi step failed with code " + std::to_string(done->code) +
                   ": it runs on fewer blocks than it was planned for; report this");
  }
  return *done;
}

PoissonJacobi::PoissonJacobi(std::uint32_t n, std::span<const float> f,
                             const JacobiOptions& options) {
  check(n, f.size(), options);
  check_grid_solver_options(options.context);
  const auto choice = choose_executor(options.context.executor, options.context.device);
  state_ = std::make_unique<State>(n, options, choice.kind);
  upload_field(state_->layout, scaled_source(n, f), state_->source);
  state_->open();
}

PoissonJacobi::~PoissonJacobi() = default;

double PoissonJacobi::iterate(std::uint64_t iterations) {
  if (iterations == 0) throw UseError("iterate(0): ask for at least 1 iteration");
  State& state = *state_;
  constexpr std::uint64_t ahead = 2;  // slices in flight, so that the GPU never waits for the host
  std::uint64_t in_flight = 0;
  double change = 0;
  for (std::uint64_t left = iterations; left > 0 || in_flight > 0;) {
    if (left > 0 && in_flight < ahead) {
      const auto count =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(state.options.slice, left));
      // With something in flight a full ring waits for us to collect, not the other way about.
      const QueueResult result = in_flight > 0
                                     ? state.context->try_queue({count})
                                     : state.context->queue({count}, state.options.slice_deadline);
      if (result) {
        left -= count;
        ++in_flight;
        continue;
      }
      if (in_flight == 0) {
        throw TimeoutError("no room for a Jacobi slice within its deadline of " +
                           std::to_string(state.options.slice_deadline.count()) +
                           " ns: give slice_deadline more time; " + state.context->hang_report());
      }
    }
    change = state.next_done().telemetry.largest_change;
    --in_flight;
  }
  return change;
}

std::vector<float> PoissonJacobi::field() const {
  return download_field(state_->layout, state_->field);
}

void PoissonJacobi::set_field(std::span<const float> u) {
  upload_field(state_->layout, u, state_->field);
}

std::string PoissonJacobi::description() const {
  const State& state = *state_;
  const std::string runs_on = state.context->description();
  if (!state.planned) return runs_on + "; from memory to memory";
  const TilePlan& plan = state.planned->plan;
  return runs_on + "; " + tile_shapes()[state.planned->shape].name() + ": " +
         std::to_string(plan.tiles_x) + " x " + std::to_string(plan.tiles_y) + " tiles of " +
         std::to_string(plan.own_width) + " x " + std::to_string(plan.own_height) +
         " points, exchange every " + std::to_string(plan.depth) + " iterations";
}

ExecutionStatistics PoissonJacobi::stats() const {
  return state_->context->stats();
}

std::vector<float> scaled_source(std::uint32_t n, std::span<const float> f) {
  const double h = 1 / (n + 1.0);
  std::vector<float> source(f.size());
  std::transform(f.begin(), f.end(), source.begin(),
                 [h](float value) { return static_cast<float>(0.25 * h * h * double{value}); });
  return source;
}

double relative_residual(std::uint32_t n, std::span<const float> f, std::span<const float> u) {
  check_values(n, f.size());
  check_values(n, u.size());
  const double per_h2 = (n + 1.0) * (n + 1.0);
  double of_f = 0;
  double of_residual = 0;
  for (std::size_t y = 0; y < n; ++y) {
    for (std::size_t x = 0; x < n; ++x) {
      const std::size_t i = y * n + x;
      const double left = x > 0 ? double{u[i - 1]} : 0;
      const double right = x + 1 < n ? double{u[i + 1]} : 0;
      const double up = y > 0 ? double{u[i - n]} : 0;
      const double down = y + 1 < n ? double{u[i + n]} : 0;
      const double r = double{f[i]} - per_h2 * (4 * double{u[i]} - left - right - up - down);
      of_f += double{f[i]} * double{f[i]};
      of_residual += r * r;
    }
  }
  return of_f > 0 ? std::sqrt(of_residual / of_f) : std::sqrt(of_residual);
}

}  // namespace aatgs::stencil
