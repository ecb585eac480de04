// SPDX-License-Identifier: Apache-2.0
// The resident road on its own: rates, what the host pays, and what the settings do.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "context_feeder.cuh"
#include "plan.hpp"
#include "report.hpp"
#include "turns.hpp"

namespace aatgs::bench {

inline constexpr std::uint64_t configs_per_rate = 10'000;

inline ContextOptions resident_block(const Plan& plan) {
  ContextOptions options = plan.context;
  options.executor = ExecutorKind::resident;
  options.scope = Scope::block;
  return options;
}

/// Rate and round trip of one point, as `<kind>_rate/<point>` and `<kind>_roundtrip/<point>`.
template <std::size_t Bytes>
void measure_point(const Plan& plan, Report& report, const std::string& kind,
                   const std::string& point, const ContextOptions& options) {
  const Case rate{.group = kind + "_rate", .road = point};
  const Case roundtrip{.group = kind + "_roundtrip", .road = point};
  if (!plan.wants(rate.name()) && !plan.wants(roundtrip.name())) return;
  ContextFeeder<Bytes> feeder(options);
  const std::string bytes = std::to_string(Bytes) + " B configs";
  if (plan.wants(rate.name())) {
    report.add(figure(rate, "M/s", bytes + ", one ring, one host thread",
                      feeder.rates(configs_per_rate, 4 * plan.seconds)));
  }
  if (plan.wants(roundtrip.name())) {
    report.add(
        figure(roundtrip, "us", bytes + ", one at a time", feeder.closed_loop(2 * plan.seconds)));
  }
}

/// Whether so many worker blocks of a light step fit any GPU of this size.
inline bool fits(const Plan& plan, std::uint32_t workers) {
  int sms = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, plan.context.device),
             "asking for the number of SMs");
  return workers <= 4 * static_cast<std::uint32_t>(sms);
}

/// The settings that bear on speed, one at a time, each by turns with the settings as given: a busy
/// neighbour of the host halves its rate for a while.
class SettingsSweep {
 public:
  SettingsSweep(const Plan& plan, Report& report)
      : plan_(plan), report_(report), as_given_(resident_block(plan)) {}

  [[nodiscard]] const ContextOptions& as_given() const { return as_given_; }

  /// `tune_rate/<point>` and `tune_roundtrip/<point>`.
  void measure(const std::string& point, const ContextOptions& options) {
    if (!wants(rate_, point) && !wants(roundtrip_, point)) return;
    ContextFeeder<256> given(as_given_);
    given.leave();
    ContextFeeder<256> other(options);
    other.leave();
    if (wants(rate_, point)) {
      compare(rate_, point, [&](bool is_other) {
        ContextFeeder<256>& feeder = is_other ? other : given;
        return feeder.take_turn(configs_per_rate, feeder.depth());
      });
    }
    if (wants(roundtrip_, point)) {
      compare(roundtrip_, point, [&](bool is_other) {
        return (is_other ? other : given).take_turn(trips_per_sample, 1);
      });
    }
  }
  /// The settings as given: `default`.
  void finish() {
    for (Measure* measure : {&rate_, &roundtrip_}) {
      if (measure->given.empty()) continue;
      add(*measure, "default", std::move(measure->given), measure->against_best);
    }
  }

 private:
  static constexpr std::uint64_t trips_per_sample = 500;

  struct Measure {
    std::string group;
    std::string what;
    bool is_rate;
    std::vector<double> given;           ///< microseconds per config with the settings as given
    std::optional<double> against_best;  ///< the least of the others' over that
  };

  [[nodiscard]] bool wants(const Measure& measure, const std::string& point) const {
    return plan_.wants(Case{.group = measure.group, .road = point}.name());
  }

  template <class Run>
  void compare(Measure& measure, const std::string& point, const Run& run) {
    Turns turns = in_turns(plan_, 4, run);
    const double ratio = figure({}, "ratio", "", std::move(turns.ratios)).p50;
    measure.against_best = std::min(measure.against_best.value_or(ratio), ratio);
    measure.given.insert(measure.given.end(), turns.plain.begin(), turns.plain.end());
    add(measure, point, std::move(turns.watched), {});
  }

  void add(const Measure& measure, const std::string& point, std::vector<double> us,
           std::optional<double> against_best) {
    if (measure.is_rate) {
      for (double& sample : us) sample = 1 / sample;
    }
    Figure result = figure({.group = measure.group, .road = point}, measure.is_rate ? "M/s" : "us",
                           measure.what, std::move(us));
    result.against_best = against_best;
    report_.add(result);
  }

  const Plan& plan_;
  Report& report_;
  ContextOptions as_given_;
  Measure rate_{"tune_rate", "256 B configs, one ring, one host thread", true, {}, {}};
  Measure roundtrip_{"tune_roundtrip", "256 B configs, one at a time; means of 500", false, {}, {}};
};

inline void sweep_settings(const Plan& plan, Report& report) {
  SettingsSweep sweep(plan, report);
  for (const std::uint32_t slots : {4U, 16U, 64U, 256U, 1024U, 4096U}) {
    ContextOptions options = sweep.as_given();
    options.config_slots = options.telemetry_slots = slots;
    sweep.measure("slots_" + std::to_string(slots), options);
  }
  for (const std::uint32_t window : {4U, 8U, 16U, 32U, 64U, 128U, 256U}) {
    ContextOptions options = sweep.as_given();
    options.hot_window = window;
    sweep.measure("hot_window_" + std::to_string(window), options);
  }
  for (const std::uint32_t workers : {16U, 64U, 132U, 264U}) {
    if (!fits(plan, workers)) continue;
    ContextOptions options = sweep.as_given();
    options.workers = workers;
    sweep.measure("workers_" + std::to_string(workers), options);
  }
  sweep.finish();
}

inline void sweep_config_size(const Plan& plan, Report& report) {
  const ContextOptions options = resident_block(plan);
  measure_point<16>(plan, report, "size", "16", options);
  measure_point<64>(plan, report, "size", "64", options);
  measure_point<256>(plan, report, "size", "256", options);
  measure_point<1024>(plan, report, "size", "1024", options);
  measure_point<4096>(plan, report, "size", "4096", options);
}

/// Rate of 10 us steps: as many tenths of a million per second as there are workers, ideally.
inline void sweep_concurrency(const Plan& plan, Report& report) {
  for (const std::uint32_t workers : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U, 256U, 512U, 0U}) {
    const std::string point = workers == 0 ? "all" : std::to_string(workers);
    const Case of{.group = "workers_rate", .road = point};
    if (!plan.wants(of.name()) || !fits(plan, workers)) continue;
    ContextOptions options = resident_block(plan);
    options.workers = workers;
    ContextFeeder<256> feeder(options);
    feeder.set_work(SpinStep::work(10, Scope::block));
    const std::uint64_t per_sample = workers == 0 ? 8192 : 16 * workers;
    report.add(figure(of, "M/s", "10 us steps on " + point + " worker blocks",
                      feeder.rates(per_sample, plan.seconds)));
  }
}

/// What one host thread moves when it queues and collects several configs at once.
inline void sweep_many(const Plan& plan, Report& report) {
  for (const std::size_t most : {4U, 16U, 64U, 256U}) {
    const Case of{.group = "many_rate", .road = std::to_string(most)};
    if (!plan.wants(of.name())) continue;
    ContextFeeder<256> feeder(resident_block(plan));
    report.add(figure(of, "M/s",
                      "256 B configs, up to " + of.road + " at once, one ring, one host thread",
                      feeder.rates_of_many(configs_per_rate, most, 4 * plan.seconds)));
  }
}

/// What several host threads queue into one context, each through a port of its own.
template <std::size_t Bytes>
void sweep_threads(const Plan& plan, Report& report, const std::string& group,
                   std::uint64_t per_thread) {
  for (const std::uint32_t threads : {1U, 2U, 4U, 8U}) {
    const Case of{.group = group, .road = std::to_string(threads)};
    if (!plan.wants(of.name()) || threads > std::thread::hardware_concurrency()) continue;
    ContextOptions options = resident_block(plan);
    options.ports = threads;
    ContextFeeder<Bytes> feeder(options);
    report.add(figure(of, "M/s",
                      std::to_string(Bytes) + " B configs from so many host threads, one context",
                      feeder.rates_of_all(per_thread, 4 * plan.seconds)));
  }
}

inline void measure_host_costs(const Plan& plan, Report& report) {
  const Case try_queue{.group = "host", .road = "try_queue"};
  const Case poll{.group = "host", .road = "poll"};
  if (!plan.wants(try_queue.name()) && !plan.wants(poll.name())) return;
  auto costs = ContextFeeder<256>(resident_block(plan)).call_costs(4 * plan.seconds);
  report.add(figure(try_queue, "ns",
                    "one try_queue, from runs of up to 256 while the GPU takes them",
                    std::move(costs.try_queue_ns)));
  report.add(figure(poll, "ns", "one poll that finds a telemetry, from runs of up to 256",
                    std::move(costs.poll_ns)));
  report.add(figure({.group = "host", .road = "copy_4k"}, "ns",
                    "a copy of 4 KiB within the first cache, between those runs: longer where "
                    "another tenant has the core's other thread",
                    std::move(costs.copy_ns)));
}

inline void run_sweeps(const Plan& plan, Report& report) {
  measure_host_costs(plan, report);
  sweep_settings(plan, report);
  sweep_config_size(plan, report);
  sweep_many(plan, report);
  sweep_threads<256>(plan, report, "threads_rate", 100'000);
  sweep_threads<4096>(plan, report, "threads_rate_4096", 25'000);
  sweep_concurrency(plan, report);
}

}  // namespace aatgs::bench
