// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/host_clock.hpp>
#include <algorithm>
#include <chrono>
#include <thread>

#include "load.hpp"

namespace aatgs {

struct LoadConfig {
  std::uint64_t step_ns;
  std::uint64_t padding[7];
};
template <std::size_t Bytes>
struct LoadTelemetry {
  std::uint64_t ticket;
  unsigned char padding[Bytes - 8];
};

/// Is busy for as long as the config says.
struct LoadStep {
  static constexpr unsigned block_threads = 32;

  template <class Group, class Telemetry>
  AATGS_HOST_DEVICE void operator()(Group& group, const LoadConfig& config, Telemetry& out) const {
    if (group.rank() == 0) {
      for (const std::uint64_t begin = now(); now() - begin < config.step_ns;) {
        if (group.stop_requested()) break;
      }
      out.ticket = group.ticket();
    }
    group.sync_block();
  }

 private:
  AATGS_HOST_DEVICE static std::uint64_t now() {
#if defined(__CUDA_ARCH__)
    std::uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
#else
    return host_now_ns();
#endif
  }
};

/// The host's side of a load.
template <class Telemetry>
class LoadRun {
 public:
  using Context = GpuExecutionContext<LoadConfig, Telemetry>;

  LoadRun(Context& context, const Load& load, ConfigPolicy policy)
      : context_(context), load_(load), policy_(policy) {
    config_.step_ns = std::uint64_t{load.step_us} * 1000;
  }

  /// What is in flight at the end stays so.
  void run() {
    end_ = host_now_ns() + std::uint64_t{load_.milliseconds} * 1'000'000;
    while (!is_over()) {
      for (std::uint32_t i = 0; i < load_.burst && !is_over(); ++i) queue();
      if (load_.rate != 0) be_busy(std::uint64_t{load_.burst} * 1'000'000'000 / load_.rate);
      while (context_.poll()) read();
    }
  }

 private:
  [[nodiscard]] bool is_over() const { return host_now_ns() >= end_; }

  void queue() {
    if (context_.try_queue(config_) || policy_ == ConfigPolicy::reject) return;
    const std::uint64_t begin = host_now_ns();
    do {
      if (host_now_ns() - begin > static_cast<std::uint64_t>(patience.count())) give_up();
      if (context_.wait(patience)) read();
    } while (!is_over() && !context_.try_queue(config_));
  }

  void read() {
    if (load_.reader_us != 0) be_busy(std::uint64_t{load_.reader_us} * 1000);
  }

  /// A sleep takes some 60 us longer than asked for.
  void be_busy(std::uint64_t ns) const {
    constexpr std::uint64_t late = 200'000;
    const std::uint64_t until = std::min(end_, host_now_ns() + ns);
    if (ns > late) std::this_thread::sleep_until(time_point(until - late));
    while (host_now_ns() < until) cpu_relax();
  }

  static std::chrono::steady_clock::time_point time_point(std::uint64_t ns) {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(ns));
  }

  [[noreturn]] void give_up() const {
    throw TimeoutError("the built-in load got nothing back for 10 s: " + context_.hang_report());
  }

  static constexpr std::chrono::nanoseconds patience = std::chrono::seconds(10);

  Context& context_;
  const Load& load_;
  ConfigPolicy policy_;
  LoadConfig config_{};
  std::uint64_t end_ = 0;
};

/// With a context that `make(LoadStep, telemetry)` makes for this type of telemetry.
template <class Make>
Measurement run_load_on(const Load& load, const ContextOptions& options, const Make& make) {
  const auto run = [&](auto telemetry) {
    using Telemetry = decltype(telemetry);
    auto context = make(telemetry);
    LoadRun<Telemetry>(context, load, options.config_policy).run();
    const ExecutionStatistics statistics = context.stats();
    Measurement m = measurement_of({options.config_slots, options.telemetry_slots,
                                    options.config_policy, options.telemetry_policy},
                                   std::span(&statistics, 1));
    m.executor = to_string(context.executor());
    return m;
  };
  return load.large_telemetry ? run(LoadTelemetry<4096>{}) : run(LoadTelemetry<64>{});
}

}  // namespace aatgs
