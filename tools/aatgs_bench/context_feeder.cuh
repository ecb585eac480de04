// SPDX-License-Identifier: Apache-2.0
// The shortest loops around a context, for what a virtual call per config would blur.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include <aatgs/host/make_context.cuh>

#include "driver.cuh"

namespace aatgs::bench {

/// Feeds a context of its own with configs of `Bytes` bytes from this thread.
template <std::size_t Bytes>
class ContextFeeder {
 public:
  explicit ContextFeeder(const ContextOptions& options)
      : context_(make_context<Config, BenchTelemetry>(SpinStep{}, options)),
        depth_(std::min(options.config_slots, options.telemetry_slots)) {}

  void set_work(std::uint32_t work) { config_.work = work; }

  /// Microseconds from a config to its telemetry, one at a time.
  std::vector<double> closed_loop(double seconds) {
    return sample_batches(1, seconds, [&] { run(1, 1); });
  }

  /// Millions of configs per second with the rings kept full, `per_sample` configs to a sample.
  std::vector<double> rates(std::uint64_t per_sample, double seconds) {
    const std::uint64_t depth = depth_;
    auto us = sample_batches(per_sample, seconds, [&] { run(per_sample, depth); });
    for (double& sample : us) sample = 1 / sample;
    return us;
  }

  struct CallCosts {
    std::vector<double> try_queue_ns;
    std::vector<double> poll_ns;
  };
  /// Host time of one call, from runs of them; only runs in which every call succeeded.
  CallCosts call_costs(double seconds) {
    const std::uint64_t calls = std::min<std::uint64_t>(256, depth_ / 2);
    CallCosts costs;
    const std::uint64_t begin = host_now_ns();
    run(1000, 1);
    while (us_since(begin) < seconds * 1e6) {
      if (const auto ns = time_calls(calls, [&] { return try_queue(); })) {
        costs.try_queue_ns.push_back(*ns);
      }
      const std::uint64_t queued = host_now_ns();
      while (us_since(queued) < 100) cpu_relax();  // asking for idleness would warm poll's caches
      if (const auto ns = time_calls(queued_ - collected_, [&] { return poll(); })) {
        costs.poll_ns.push_back(*ns);
      }
      run(0, 0);
    }
    return costs;
  }

 private:
  using Config = SizedConfig<Bytes>;

  template <class Call>
  static std::optional<double> time_calls(std::uint64_t calls, const Call& call) {
    bool all = calls > 0;
    const std::uint64_t begin = host_now_ns();
    for (std::uint64_t i = 0; i < calls; ++i) all = call() && all;
    const double ns = us_since(begin) * 1e3 / static_cast<double>(calls);
    return all ? std::optional(ns) : std::nullopt;
  }

  bool try_queue() {
    label(config_, queued_);
    if (!context_.try_queue(config_)) return false;
    ++queued_;
    return true;
  }

  bool poll() {
    const auto done = context_.poll();
    if (!done) return false;
    require_answer(done->ticket, done->telemetry);
    ++collected_;
    return true;
  }

  /// Runs `count` more configs, at most `depth` in flight, and collects all.
  void run(std::uint64_t count, std::uint64_t depth) {
    const std::uint64_t end = queued_ + count;
    Patience patience;
    while (collected_ < end) {
      const bool queued = queued_ < end && queued_ - collected_ < depth && try_queue();
      if (!poll() && !queued) patience.breathe(collected_);
    }
  }

  GpuExecutionContext<Config, BenchTelemetry> context_;
  std::uint64_t depth_;
  Config config_{};
  std::uint64_t queued_ = 0;
  std::uint64_t collected_ = 0;
};

}  // namespace aatgs::bench
