// SPDX-License-Identifier: Apache-2.0
// The library's own executors.
#pragma once

#include <vector>

#include <aatgs/host/make_context.cuh>

#include "driver.cuh"

namespace aatgs::bench {

/// A context on the executor that the options name.
template <class Step>
class ContextRoad final : public BenchRoad {
 public:
  ContextRoad(const Step& step, const ContextOptions& options)
      : context_(make_context<BenchConfig, BenchTelemetry>(step, options)) {}

  void submit(const BenchConfig& config) override {
    if (context_.queue(config)) return;
    throw Error("no room for a config: give --config-slots and --telemetry-slots at least 64");
  }
  bool collect(std::uint64_t& ticket, BenchTelemetry& telemetry) override {
    const auto done = context_.poll();
    if (!done) return false;
    require_ok(*done);
    ticket = done->ticket;
    telemetry = done->telemetry;
    return true;
  }
  void finish() override {}
  [[nodiscard]] bool is_settled() const override { return context_.is_settled(); }

  /// Why it is on the executor that it is on.
  [[nodiscard]] const std::string& reason() const { return context_.reason(); }

  /// Runs known configs with `execute_batch`; labels them and checks their telemetry.
  void run_batch(std::vector<BenchConfig>& configs) {
    for (BenchConfig& config : configs) label(config, batch_ticket_++);
    std::uint64_t ticket = batch_ticket_ - configs.size();
    for (const auto& done : context_.execute_batch(configs)) {
      require_ok(done);
      require_answer(ticket++, done.telemetry);
    }
  }

 private:
  using Context = GpuExecutionContext<BenchConfig, BenchTelemetry>;

  static void require_ok(const Context::Done& done) {
    if (done.ok()) return;
    throw Error("ticket " + std::to_string(done.ticket) + " failed with code " +
                std::to_string(done.code) + ": the step read other data than it should");
  }

  Context context_;
  std::uint64_t batch_ticket_ = 0;
};

}  // namespace aatgs::bench
