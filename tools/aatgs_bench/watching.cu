// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "context_feeder.cuh"
#include "turns.hpp"
#include "watching.hpp"

namespace aatgs::bench {

namespace {

/// A name of its own, so that no other file makes the same kernels.
struct WatchedStep : SpinStep {};

using Feeder = PortFeeder<sizeof(BenchConfig)>;
using Context = Feeder::Context;

constexpr std::uint64_t configs_per_sample = 10'000;
constexpr std::uint32_t event_slots = 1U << 18;  // room for all events of a window

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Microseconds of a config on a new context each time, since where its memory lies bears on it.
class Window {
 public:
  Window(const Plan& plan, double seconds) : seconds_(seconds), options_(plan.context) {
    options_.executor = ExecutorKind::resident;
    options_.scope = Scope::block;
    options_.publish_statistics = false;
    options_.event_slots = 0;
  }

  /// With the rings kept full.
  double rate_us(bool publish) const {
    ContextOptions options = options_;
    options.publish_statistics = publish;
    return run(options, configs_per_sample,
               std::min(options.config_slots, options.telemetry_slots));
  }
  double round_trip_us(bool publish) const {
    ContextOptions options = options_;
    options.publish_statistics = publish;
    return run(options, 1, 1);
  }
  double round_trip_with_events_us(bool events) const {
    ContextOptions options = options_;
    if (events) options.event_slots = event_slots;
    return run(options, 1, 1);
  }

  /// Whether contexts publish their statistics here; if not, says why.
  bool publishes() const {
    ContextOptions options = options_;
    options.publish_statistics = true;
    const Context context = make(options);
    const bool does = !context.published_as().starts_with("not published");
    if (!does) std::cerr << "watch/statistics_page is left out: " << context.published_as() << "\n";
    return does;
  }

 private:
  static Context make(const ContextOptions& options) {
    return make_context<BenchConfig, BenchTelemetry>(WatchedStep{}, options);
  }

  double run(const ContextOptions& options, std::uint64_t configs, std::uint64_t depth) const {
    Context context = make(options);
    Feeder feeder(context);
    return median(sample_batches(configs, seconds_, [&] { feeder.run(configs, depth); }));
  }

  double seconds_;
  ContextOptions options_;
};

}  // namespace

void measure_watching(const Plan& plan, Report& report) {
  const Window window(plan, plan.seconds / 2);
  const auto add = [&](const std::string& name, const std::string& what, double share, auto run) {
    add_turns(report, name, what, in_turns(plan, share, run));
  };
  const bool rate = plan.wants("watch/statistics_page");
  const bool round_trip = plan.wants("watch/statistics_page_round_trip");
  if ((rate || round_trip) && window.publishes()) {
    if (rate) {
      add("statistics_page", "a config with full rings, statistics page", 160,
          [&](bool on) { return window.rate_us(on); });
    }
    if (round_trip) {
      add("statistics_page_round_trip", "a config at a time, statistics page", 80,
          [&](bool on) { return window.round_trip_us(on); });
    }
  }
  if (plan.wants("watch/event_ring_round_trip")) {
    add("event_ring_round_trip", "a config at a time, event ring", 80,
        [&](bool on) { return window.round_trip_with_events_us(on); });
  }
  measure_telemetry(plan, report);
}

}  // namespace aatgs::bench
