// SPDX-License-Identifier: Apache-2.0
// The shortest loops around a context, for what a virtual call per config would blur.
#pragma once

#include <aatgs/host/make_context.cuh>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "driver.cuh"

namespace aatgs::bench {

/// Feeds one port of a context with configs of `Bytes` bytes. One thread at a time; on lines of its
/// own.
template <std::size_t Bytes>
class alignas(line_bytes) PortFeeder {
 public:
  using Config = SizedConfig<Bytes>;
  using Context = GpuExecutionContext<Config, BenchTelemetry>;

  explicit PortFeeder(Context& port) : port_(port) {}

  void set_work(std::uint32_t work) { config_.work = work; }

  bool try_queue() {
    label(config_, queued_);
    if (!port_.try_queue(config_)) return false;
    ++queued_;
    return true;
  }

  bool poll() {
    const auto done = port_.poll();
    if (!done) return false;
    require_answer(done->ticket, done->telemetry);
    ++collected_;
    return true;
  }

  [[nodiscard]] std::uint64_t in_flight() const { return queued_ - collected_; }

  /// As `run`, but queues and collects up to `most` at once.
  void run_many(std::uint64_t count, std::uint64_t depth, std::size_t most) {
    std::vector<Config> configs(most, config_);
    std::vector<typename Context::Done> done(most);
    const std::uint64_t end = queued_ + count;
    Patience patience;
    while (collected_ < end) {
      const std::size_t wish = std::min<std::uint64_t>({most, end - queued_, depth - in_flight()});
      for (std::size_t i = 0; i < wish; ++i) label(configs[i], queued_ + i);
      const std::size_t queued =
          port_.try_queue_many(std::span<const Config>(configs).first(wish)).count;
      queued_ += queued;
      const std::size_t found = port_.poll_many(done);
      for (std::size_t i = 0; i < found; ++i) require_answer(done[i].ticket, done[i].telemetry);
      collected_ += found;
      if (found == 0 && queued == 0) patience.breathe(collected_);
    }
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

 private:
  Context& port_;
  Config config_{};
  std::uint64_t queued_ = 0;
  std::uint64_t collected_ = 0;
};

/// Feeds a context of its own, through each of its ports from a thread of its own.
template <std::size_t Bytes>
class ContextFeeder {
 public:
  explicit ContextFeeder(const ContextOptions& options)
      : context_(
            make_context<typename PortFeeder<Bytes>::Config, BenchTelemetry>(SpinStep{}, options)),
        depth_(std::min(options.config_slots, options.telemetry_slots)) {
    for (std::uint32_t i = 0; i < options.ports; ++i) feeders_.emplace_back(context_.port(i));
  }

  void set_work(std::uint32_t work) {
    for (auto& feeder : feeders_) feeder.set_work(work);
  }

  /// Microseconds per config of `count` of them, `depth` in flight, and so many again before to
  /// warm up. Leaves the GPU then.
  double take_turn(std::uint64_t count, std::uint64_t depth) {
    first().run(count, depth);
    const std::uint64_t begin = host_now_ns();
    first().run(count, depth);
    const double us = us_since(begin) / static_cast<double>(count);
    leave();
    return us;
  }
  /// In flight at most.
  [[nodiscard]] std::uint64_t depth() const { return depth_; }
  void leave() { leave_gpu(context_); }

  /// Microseconds from a config to its telemetry, one at a time.
  std::vector<double> closed_loop(double seconds) {
    return sample_batches(1, seconds, [&] { first().run(1, 1); });
  }

  /// Millions of configs per second from this thread with the rings kept full, `per_sample` configs
  /// to a sample.
  std::vector<double> rates(std::uint64_t per_sample, double seconds) {
    auto us = sample_batches(per_sample, seconds, [&] { first().run(per_sample, depth_); });
    for (double& sample : us) sample = 1 / sample;
    return us;
  }

  /// The same, queued and collected up to `most` at once.
  std::vector<double> rates_of_many(std::uint64_t per_sample, std::size_t most, double seconds) {
    auto us =
        sample_batches(per_sample, seconds, [&] { first().run_many(per_sample, depth_, most); });
    for (double& sample : us) sample = 1 / sample;
    return us;
  }

  /// One by one again, from one thread for each port, `per_thread` configs each to a sample.
  std::vector<double> rates_of_all(std::uint64_t per_thread, double seconds) {
    std::vector<double> rates;
    run_all(per_thread);
    for (const std::uint64_t begin = host_now_ns();
         us_since(begin) < seconds * 1e6 || rates.size() < 5;) {
      rates.push_back(static_cast<double>(per_thread * feeders_.size()) / run_all(per_thread));
    }
    return rates;
  }

  struct CallCosts {
    std::vector<double> try_queue_ns;
    std::vector<double> poll_ns;
    std::vector<double> copy_ns;  ///< of 4 KiB within the first cache, by which a busy core shows
  };
  /// Host time of one call, from runs of them; only runs in which every call succeeded.
  CallCosts call_costs(double seconds) {
    const std::uint64_t calls = std::min<std::uint64_t>(256, depth_ / 2);
    CallCosts costs;
    const std::uint64_t begin = host_now_ns();
    first().run(1000, 1);
    while (us_since(begin) < seconds * 1e6) {
      if (const auto ns = time_calls(calls, [&] { return first().try_queue(); })) {
        costs.try_queue_ns.push_back(*ns);
      }
      const std::uint64_t queued = host_now_ns();
      while (us_since(queued) < 100) cpu_relax();  // asking for idleness would warm poll's caches
      if (const auto ns = time_calls(first().in_flight(), [&] { return first().poll(); })) {
        costs.poll_ns.push_back(*ns);
      }
      first().run(0, 0);
      costs.copy_ns.push_back(*time_calls(64, [] { return copy_page(); }));
    }
    return costs;
  }

 private:
  PortFeeder<Bytes>& first() { return feeders_.front(); }

  template <class Call>
  static std::optional<double> time_calls(std::uint64_t calls, const Call& call) {
    bool all = calls > 0;
    const std::uint64_t begin = host_now_ns();
    for (std::uint64_t i = 0; i < calls; ++i) all = call() && all;
    const double ns = us_since(begin) * 1e3 / static_cast<double>(calls);
    return all ? std::optional(ns) : std::nullopt;
  }

  static bool copy_page() {
    static thread_local std::array<unsigned char, 4096> pages[2];
    std::memcpy(&pages[1], &pages[0], sizeof pages[0]);
    asm volatile("" ::"r"(&pages) : "memory");  // it is not left out
    return true;
  }

  /// Microseconds until all threads have run `per_thread` configs, from the moment when all are
  /// there.
  double run_all(std::uint64_t per_thread) {
    std::atomic<std::size_t> ready = 0;
    std::atomic<bool> go = false;
    std::vector<std::jthread> threads;
    for (auto& feeder : feeders_) {
      threads.emplace_back([&] {
        ++ready;
        while (!go.load(std::memory_order_acquire)) cpu_relax();
        feeder.run(per_thread, depth_);
      });
    }
    while (ready != feeders_.size()) cpu_relax();
    const std::uint64_t begin = host_now_ns();
    go.store(true, std::memory_order_release);
    threads.clear();
    return us_since(begin);
  }

  typename PortFeeder<Bytes>::Context context_;
  std::uint64_t depth_;
  std::vector<PortFeeder<Bytes>> feeders_;
};

}  // namespace aatgs::bench
