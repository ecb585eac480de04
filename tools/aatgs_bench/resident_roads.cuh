// SPDX-License-Identifier: Apache-2.0
// The library's own executors.
#pragma once

#include <aatgs/host/make_context.cuh>
#include <deque>
#include <optional>
#include <vector>

#include "driver.cuh"

namespace aatgs::bench {

/// A context on the executor that the options name.
template <class Step>
class ContextRoad final : public BenchRoad {
  using Context = GpuExecutionContext<BenchConfig, BenchTelemetry>;

 public:
  ContextRoad(const Step& step, const ContextOptions& options)
      : context_(make_context<BenchConfig, BenchTelemetry>(step, options)) {}

  void submit(const BenchConfig& config) override {
    // A config that is late by as many others as there are slots holds up those that need its slot,
    // and they come free only as completions are collected.
    Patience patience;
    while (!context_.try_queue(config)) {
      if (auto done = context_.poll()) {
        early_.push_back(*done);
      } else {
        patience.breathe(early_.size());
      }
    }
  }
  bool collect(std::uint64_t& ticket, BenchTelemetry& telemetry) override {
    std::optional<Context::Done> done;
    if (early_.empty()) {
      done = context_.poll();
    } else {
      done = early_.front();
      early_.pop_front();
    }
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

  /// Labels the configs of the next `run_batch`. Apart from it, so that it can be left out of the
  /// time: of all known configs the other roads label one at a time, which stays in the L1 cache.
  void label_batch(std::vector<BenchConfig>& configs) const {
    std::uint64_t ticket = batch_ticket_;
    for (BenchConfig& config : configs) label(config, ticket++);
  }
  /// Runs labelled configs with `execute_batch` and checks their telemetry.
  void run_batch(const std::vector<BenchConfig>& configs) {
    results_.resize(configs.size());
    context_.execute_batch(configs, results_);
    for (const auto& done : results_) {
      require_ok(done);
      require_answer(batch_ticket_++, done.telemetry);
    }
  }

 private:
  static void require_ok(const Context::Done& done) {
    if (done.ok()) return;
    throw Error("ticket " + std::to_string(done.ticket) + " failed with code " +
                std::to_string(done.code) + ": the step read other data than it should");
  }

  Context context_;
  std::deque<Context::Done> early_;              ///< collected before anybody asked
  std::vector<typename Context::Done> results_;  ///< of a batch
  std::uint64_t batch_ticket_ = 0;
};

}  // namespace aatgs::bench
