// SPDX-License-Identifier: Apache-2.0
#include "draw.hpp"

#include <algorithm>
#include <bit>
#include <thread>

namespace aatgs::soak {

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t no_end = std::uint64_t{1} << 40;  // configs

/// Near where tickets, or the laps of the rings, no longer fit 32 bits, and others.
std::uint64_t draw_first_ticket(Random& random, const ContextOptions& options) {
  const std::uint64_t word = std::uint64_t{1} << 32;
  const std::uint64_t near = 1 + random.below(10'000);
  const std::uint64_t choices[] = {0,
                                   word - 5,
                                   word - near,
                                   word * options.config_slots - near,
                                   word * options.telemetry_slots - near,
                                   (word / 2) * options.telemetry_slots - near,
                                   word / 2 * 8 - near,  // laps of the staging slots
                                   (std::uint64_t{1} << 63) - near,
                                   random.next() >> 8};
  return random.pick(choices);
}

void draw_policies(Random& random, ContextOptions& options) {
  const TelemetryPolicy telemetry[] = {
      TelemetryPolicy::block,           TelemetryPolicy::block, TelemetryPolicy::block,
      TelemetryPolicy::block,           TelemetryPolicy::block, TelemetryPolicy::drop_newest,
      TelemetryPolicy::overwrite_oldest};
  options.telemetry_policy = random.pick(telemetry);
  options.config_policy = random.one_in(2) ? ConfigPolicy::block : ConfigPolicy::reject;
  const std::chrono::nanoseconds park_after[] = {0us, 50us, 100us, 300us, 1ms, 5ms};
  options.park_after = random.pick(park_after);
  const std::uint64_t shares[] = {10, 100, 1000, 10'000, 100'000};
  if (random.one_in(8)) options.leave_after = 10 + random.below(random.pick(shares));
}

/// Ports for as many threads as this machine can spin at once.
std::uint32_t draw_ports(Random& random, std::uint32_t most) {
  const std::uint32_t choices[] = {1, 1, 2, 4, 8};
  const std::uint32_t threads = std::max(2U, std::thread::hardware_concurrency() * 3 / 4);
  return std::min({random.pick(choices), most, threads});
}

ContextOptions draw_options(Random& random, const Settings& settings, ExecutorKind executor,
                            Scope scope, bool small_rings, std::uint32_t most_ports) {
  ContextOptions options;
  options.executor = executor;
  options.device = settings.device;
  options.scope = scope;
  const std::uint32_t small[] = {1, 2, 4, 8, 16, 32, 64};
  const std::uint32_t large[] = {256, 1024, 1024, 1024, 2048, 4096, 16'384};
  options.config_slots = small_rings ? random.pick(small) : random.pick(large);
  options.telemetry_slots = small_rings ? random.pick(small) : random.pick(large);
  options.queue_deadline = 20s;
  draw_policies(random, options);
  options.ports = scope == Scope::block ? draw_ports(random, most_ports) : 1;
  const std::uint32_t windows[] = {128, 128, 128, 64, 512};
  options.hot_window = random.pick(windows);
  const auto cpu_most = std::max(2U, std::min(4U, std::thread::hardware_concurrency()));
  options.cpu_threads =
      std::max(options.ports, 1 + static_cast<std::uint32_t>(random.below(cpu_most)));
  options.first_ticket = draw_first_ticket(random, options);
  return options;
}

SegmentPlan draw_any(Random& random, const Settings& settings, ExecutorKind executor, Scope scope,
                     bool small_rings, std::uint32_t most_ports) {
  SegmentPlan plan;
  plan.seed = random.next();
  plan.load.salt = random.next();
  plan.load.options = draw_options(random, settings, executor, scope, small_rings, most_ports);
  plan.load.some_fail = random.one_in(4);
  const Ending endings[] = {Ending::drain, Ending::abort, Ending::destructor};
  plan.ending = random.pick(endings);
  return plan;
}

ExecutorKind draw_executor(Random& random, const std::vector<ExecutorKind>& from) {
  return from[random.below(from.size())];
}

}  // namespace

std::vector<ExecutorKind> executors_here(const Settings& settings) {
  if (!why_no_gpu(settings.device).empty()) return {ExecutorKind::cpu, ExecutorKind::automatic};
  if (settings.executor == ExecutorKind::cpu) return {ExecutorKind::cpu};
  return {ExecutorKind::resident, ExecutorKind::launch_queue, ExecutorKind::launch,
          ExecutorKind::graph,    ExecutorKind::automatic,    ExecutorKind::cpu};
}

SegmentPlan draw_stream(Random& random, const Settings& settings, Scope scope, std::uint64_t left,
                        std::uint64_t goal) {
  const bool small_rings = random.one_in(5);
  SegmentPlan plan = draw_any(random, settings, settings.executor, scope, small_rings, max_ports);
  const Costs costs = costs_of(settings.executor, scope);
  const double whole_ns = static_cast<double>(goal) * costs.config_ns;
  const double ms =
      static_cast<double>(small_rings ? random.between(20, 100) : random.between(100, 700));
  plan.load.budget_ns = std::min(ms * 1e6, std::max(whole_ns / 24, 1e6));
  plan.load.configs = left;
  if (small_rings && random.one_in(4)) plan.load.spin_ns = 5000;
  return plan;
}

SegmentPlan draw_cycle(Random& random, const Settings& settings) {
  const ExecutorKind executor = draw_executor(random, executors_here(settings));
  const Scope scope = random.one_in(2) ? Scope::block : Scope::grid;
  SegmentPlan plan = draw_any(random, settings, executor, scope, random.one_in(2), 2);
  plan.load.configs = random.below(200);
  const std::uint32_t workers[] = {0, 0, 0, 2, 16};
  plan.load.options.workers = random.pick(workers);
  plan.load.options.bounded = random.one_in(4);
  if (random.one_in(2)) plan.load.spin_ns = 20'000;
  const bool may_leave = plan.load.options.ports == 1 || plan.ending != Ending::drain;
  plan.load.leaves_in_flight = may_leave && random.one_in(2);
  const std::chrono::nanoseconds park_after = plan.load.options.park_after;
  if (random.one_in(4)) plan.rest_before_end = 2 * park_after + 100us;
  return plan;
}

SegmentPlan draw_abort(Random& random, const Settings& settings) {
  std::vector<ExecutorKind> executors{settings.executor, settings.executor};
  for (const ExecutorKind executor : executors_here(settings)) {
    const bool runs_beside = executor != ExecutorKind::launch && executor != ExecutorKind::graph;
    if (runs_beside) executors.push_back(executor);
  }
  const Scope scope = random.one_in(3) ? Scope::grid : Scope::block;
  SegmentPlan plan =
      draw_any(random, settings, draw_executor(random, executors), scope, random.one_in(2), 4);
  plan.ending = Ending::abort;
  plan.load.configs = no_end;
  plan.load.leaves_in_flight = true;
  plan.ends_under_load = plan.load.options.ports > 1;
  plan.ends_from_outside = random.one_in(2);
  const std::uint32_t spins[] = {0, 0, 10'000, 200'000};
  plan.load.spin_ns = random.pick(spins);
  const std::uint64_t ranges_us[] = {10, 300, 3000, 20'000};
  plan.run_for = std::chrono::microseconds(1 + random.below(random.pick(ranges_us)));
  if (random.one_in(4)) plan.rest_before_end = 2 * plan.load.options.park_after + 100us;
  return plan;
}

SegmentPlan draw_steady(Random& random, const Settings& settings, Scope scope,
                        std::chrono::nanoseconds run_for) {
  SegmentPlan plan = draw_any(random, settings, settings.executor, scope, false, 4);
  plan.ending = Ending::drain;
  plan.load.configs = no_end;
  plan.run_for = run_for;
  return plan;
}

}  // namespace aatgs::soak
