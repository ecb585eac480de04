// SPDX-License-Identifier: Apache-2.0
// Runs configs over a road and takes the time. Host code; in a .cuh for the sake of the step's
// types.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>

#include "road.hpp"
#include "steps.cuh"

namespace aatgs::bench {

using BenchRoad = Road<BenchConfig, BenchTelemetry>;

inline constexpr std::uint64_t host_patience_ns = 20'000'000'000;

template <class Config>
void label(Config& config, std::uint64_t ticket) {
  config.ticket = static_cast<std::uint32_t>(ticket);
  config.tail = tail_of(ticket);
}

inline void require_answer(std::uint64_t ticket, const BenchTelemetry& telemetry) {
  if (telemetry.ticket == static_cast<std::uint32_t>(ticket) && telemetry.tail == tail_of(ticket)) {
    return;
  }
  throw Error("ticket " + std::to_string(ticket) + " came back as " +
              std::to_string(telemetry.ticket) + ": the road is broken, report this");
}

/// A host wait that ends: looks at the clock now and then.
class Patience {
 public:
  void breathe(std::uint64_t done) {
    cpu_relax();
    if (++rounds_ % 4096 != 0) return;
    const std::uint64_t now = host_now_ns();
    if (done != done_ || rounds_ == 4096) {
      done_ = done;
      since_ = now;
    }
    if (now - since_ < host_patience_ns) return;
    throw TimeoutError("no telemetry for 20 s after " + std::to_string(done) +
                       " configs: the road hangs");
  }

 private:
  std::uint64_t rounds_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t since_ = 0;
};

/// Until the context's next config. Throws TimeoutError.
template <class Context>
void leave_gpu(Context& context) {
  if (context.park(std::chrono::nanoseconds(host_patience_ns))) return;
  throw TimeoutError("a context has not left the GPU after 20 s: report this");
}

inline double us_since(std::uint64_t begin) {
  return static_cast<double>(host_now_ns() - begin) / 1e3;
}

/// How many samples of that length make up `seconds`.
inline std::size_t count_for(double seconds, double sample_us, std::size_t most) {
  return std::clamp<std::size_t>(static_cast<std::size_t>(seconds * 1e6 / sample_us), 5, most);
}

/// Microseconds per config of `run`, which runs `count` configs, for about `seconds`; warmed up.
/// `prepare` is called before each, and takes no part in the time.
template <class Prepare, class Run>
std::vector<double> sample_batches(std::uint64_t count, double seconds, const Prepare& prepare,
                                   const Run& run) {
  std::size_t warm_ups = 0;
  prepare();
  run();
  const std::uint64_t warm_up = host_now_ns();
  do {
    prepare();
    run();
    ++warm_ups;
  } while (us_since(warm_up) < 0.1 * seconds * 1e6);
  std::vector<double> us(
      count_for(seconds, us_since(warm_up) / static_cast<double>(warm_ups), 100'000));
  for (double& sample : us) {
    prepare();
    const std::uint64_t begin = host_now_ns();
    run();
    sample = us_since(begin) / static_cast<double>(count);
  }
  return us;
}
template <class Run>
std::vector<double> sample_batches(std::uint64_t count, double seconds, const Run& run) {
  return sample_batches(
      count, seconds, [] {}, run);
}

/// Feeds one road and checks every telemetry.
class Driver {
 public:
  explicit Driver(BenchRoad& road) : road_(road) {}

  void set_work(std::uint32_t work) { config_.work = work; }

  /// Feeds the road, `depth` in flight, until it has settled.
  void settle(unsigned depth) {
    constexpr auto no_end = ~std::uint64_t{0};
    for (const std::uint64_t begin = host_now_ns(); !road_.is_settled();) {
      pump(collected_ + depth, no_end, depth);
      if (host_now_ns() - begin > host_patience_ns) {
        throw TimeoutError("a road has not settled after 20 s: report this");
      }
    }
    const std::uint64_t end = submitted_;
    pump(end, end, depth);
  }

  /// Microseconds from a config to its telemetry, one at a time, for about `seconds`.
  std::vector<double> closed_loop(double seconds) { return known(1, 1, seconds); }

  /// Microseconds per config with `depth` of them in flight all the time.
  std::vector<double> fed(unsigned depth, double seconds) {
    const double mean = warm_up(0.1 * seconds, depth);
    const auto units = static_cast<std::uint64_t>(std::ceil(shortest_sample_us / (mean * depth)));
    const std::uint64_t per_sample = depth * std::max<std::uint64_t>(1, units);
    std::vector<double> us(count_for(seconds, mean * static_cast<double>(per_sample), 20'000));
    const std::uint64_t first = collected_;
    const std::uint64_t end = first + (us.size() + 1) * per_sample;
    pump(first + per_sample, end, depth);  // fills the pipeline
    std::uint64_t begin = host_now_ns();
    for (std::size_t i = 0; i < us.size(); ++i) {
      pump(first + (i + 2) * per_sample, end, depth);
      us[i] = us_since(begin) / static_cast<double>(per_sample);
      begin = host_now_ns();
    }
    return us;
  }

  /// Microseconds per config when `count` known configs are run from first to last; `depth` bounds
  /// only what the road holds at once.
  std::vector<double> known(std::uint64_t count, unsigned depth, double seconds) {
    return sample_batches(count, seconds, [&] { run(count, depth); });
  }

  void finish() { road_.finish(); }

 private:
  static constexpr double shortest_sample_us = 50;

  /// Warms up for `seconds`, at least twice the depth, and returns microseconds per config.
  double warm_up(double seconds, unsigned depth) {
    run(depth, depth);
    const std::uint64_t begin = host_now_ns();
    std::uint64_t done = 0;
    do {
      run(depth, depth);
      done += depth;
    } while (us_since(begin) < seconds * 1e6);
    return us_since(begin) / static_cast<double>(done);
  }

  void run(std::uint64_t count, unsigned depth) {
    const std::uint64_t end = collected_ + count;
    pump(end, end, depth);
  }

  /// Until `until` are collected; submits no further than `end`.
  void pump(std::uint64_t until, std::uint64_t end, unsigned depth) {
    Patience patience;
    BenchTelemetry telemetry;
    std::uint64_t ticket = 0;
    while (collected_ < until) {
      if (submitted_ < end && submitted_ - collected_ < depth) {
        label(config_, submitted_++);
        road_.submit(config_);
      }
      if (road_.collect(ticket, telemetry)) {
        require_answer(ticket, telemetry);
        ++collected_;
      } else if (submitted_ == end || submitted_ - collected_ >= depth) {
        patience.breathe(collected_);
      }
    }
  }

  BenchRoad& road_;
  BenchConfig config_{};
  std::uint64_t submitted_ = 0;
  std::uint64_t collected_ = 0;
};

}  // namespace aatgs::bench
