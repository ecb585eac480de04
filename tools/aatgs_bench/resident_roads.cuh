// SPDX-License-Identifier: Apache-2.0
// The library's own executors.
#pragma once

#include <aatgs/host/make_context.cuh>
#include <deque>
#include <iterator>
#include <optional>
#include <vector>

#include "driver.cuh"
#include "lean_road.cuh"

namespace aatgs::bench {

using OwnContext = GpuExecutionContext<BenchConfig, BenchTelemetry>;

/// A context for the step at the setup's width, one of the step's own.
template <class Step, std::size_t I = 0>
OwnContext make_own_context(const Setup<Step>& setup, ContextOptions options) {
  if constexpr (I + 1 < std::size(Step::own_shapes)) {
    if (setup.threads != Step::own_shapes[I].threads) {
      return make_own_context<Step, I + 1>(setup, options);
    }
  }
  if (setup.workers != 0) options.workers = setup.workers;
  using Wide = AtWidth<Step, Step::own_shapes[I].threads>;
  return make_context<BenchConfig, BenchTelemetry>(Wide{setup.step}, options);
}

/// A context on the executor that the options name.
class ContextRoad final : public BenchRoad {
 public:
  template <class Step>
  ContextRoad(const Setup<Step>& setup, const ContextOptions& options)
      : context_(make_own_context(setup, options)) {}

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
    std::optional<OwnContext::Done> done;
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
  void finish() override { leave_gpu(context_); }
  [[nodiscard]] bool is_settled() const override { return context_.is_settled(); }

  [[nodiscard]] std::string reason() const override { return context_.reason(); }

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
  static void require_ok(const OwnContext::Done& done) {
    if (done.ok()) return;
    throw Error("ticket " + std::to_string(done.ticket) + " failed with code " +
                std::to_string(done.code) + ": the step read other data than it should");
  }

  OwnContext context_;
  std::deque<OwnContext::Done> early_;     ///< collected before anybody asked
  std::vector<OwnContext::Done> results_;  ///< of a batch
  std::uint64_t batch_ticket_ = 0;
};

}  // namespace aatgs::bench
