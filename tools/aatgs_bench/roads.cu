// SPDX-License-Identifier: Apache-2.0
#include "roads.hpp"

#include <cstdint>

#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/make_context.cuh>
#include <aatgs/runtime/kernel_telemetry.hpp>
#include <aatgs/runtime/runtime_config.hpp>

namespace aatgs::bench {

namespace {

using Context = GpuExecutionContext<RuntimeConfig, KernelTelemetry>;

/// The least a step can do: answer with two words of its config.
struct EchoStep {
  static constexpr unsigned block_threads = 64;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const RuntimeConfig& config,
                                    KernelTelemetry& out) const {
    if (group.rank() != 0) return;
    out.conflicts = config.iteration;
    out.best_replica = config.phase_id;
  }
};

/// The two words that a config is told apart by.
std::int32_t word_a(std::uint64_t ticket) { return static_cast<std::int32_t>(ticket); }
std::int32_t word_b(std::uint64_t ticket) { return static_cast<std::int32_t>(ticket * 2654435761U); }

void label(RuntimeConfig& config, std::uint64_t ticket) {
  config.iteration = word_a(ticket);
  config.phase_id = word_b(ticket);
}

void require_answer(const Context::Done& done) {
  if (done.ok() && done.telemetry.conflicts == word_a(done.ticket) &&
      done.telemetry.best_replica == word_b(done.ticket)) {
    return;
  }
  throw Error("ticket " + std::to_string(done.ticket) + " came back with the telemetry " +
              std::to_string(done.telemetry.conflicts) + ": the benchmark stops, report this");
}

/// Runs tickets up to `end`, keeping at most `depth` in flight.
void run_to(Context& context, std::uint64_t& queued, std::uint64_t& done_count, std::uint64_t end,
            std::uint64_t depth) {
  RuntimeConfig config = RuntimeConfig::production();
  while (done_count < end) {
    if (queued < end && queued - done_count < depth) {
      label(config, queued);
      if (context.try_queue(config)) ++queued;
    }
    if (const auto done = context.poll()) {
      require_answer(*done);
      ++done_count;
    }
  }
}

std::string name_of(const ContextOptions& options) {
  std::string name(to_string(options.executor));
  return name + "_" + std::string(to_string(options.scope));
}

}  // namespace

Figure closed_loop(const ContextOptions& options, unsigned rounds) {
  auto context = make_context<RuntimeConfig, KernelTelemetry>(EchoStep{}, options);
  RuntimeConfig config = RuntimeConfig::production();
  std::vector<double> us;
  const unsigned warm_up = rounds / 10;
  for (unsigned i = 0; i < rounds; ++i) {
    label(config, i);
    const std::uint64_t begin = host_now_ns();
    (void)context.try_queue(config);
    auto done = context.poll();
    while (!done) done = context.poll();
    const std::uint64_t end = host_now_ns();
    require_answer(*done);
    if (i >= warm_up) us.push_back(static_cast<double>(end - begin) / 1e3);
  }
  return figure("closed_loop_" + name_of(options), "one config and its telemetry, closed loop",
                std::move(us));
}

Figure fed(const ContextOptions& options, unsigned depth, unsigned batches) {
  auto context = make_context<RuntimeConfig, KernelTelemetry>(EchoStep{}, options);
  const std::uint64_t per_batch = options.executor == ExecutorKind::resident ? 10'000 : 500;
  std::uint64_t queued = 0;
  std::uint64_t done = 0;
  std::vector<double> us;
  for (unsigned batch = 0; batch <= batches; ++batch) {
    const std::uint64_t begin = host_now_ns();
    run_to(context, queued, done, (batch + 1) * per_batch, depth);
    const double ns = static_cast<double>(host_now_ns() - begin);
    if (batch > 0) us.push_back(ns / 1e3 / static_cast<double>(per_batch));
  }
  return figure("fed" + std::to_string(depth) + "_" + name_of(options),
                std::to_string(depth) + " in flight, time per config", std::move(us));
}

Figure throughput(const ContextOptions& options, unsigned batches) {
  Figure f = fed(options, options.config_slots, batches);
  f.name = "throughput_" + name_of(options);
  f.what = "millions of configs per second through one ring from one host thread";
  const double slowest = f.p99;
  f.p99 = 1 / f.p01;
  f.p01 = 1 / slowest;
  f.p50 = 1 / f.p50;
  return f;
}

}  // namespace aatgs::bench
