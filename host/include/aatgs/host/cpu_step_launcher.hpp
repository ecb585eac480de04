// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/cpu_group.hpp>
#include <aatgs/host/cpu_residency.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/step_launcher.hpp>
#include <aatgs/runtime/step.hpp>
#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace aatgs {

/// What the launches of all ports of a context share.
struct CpuLaunchOrders {
  std::atomic<bool> has_ended = false;
  std::atomic<bool> abort = false;
};

/// Steps on the thread of their stream; in grid scope on a team of threads with that one as rank 0.
/// A launch has a scratch of its own and calls `enter` and `leave`, as on a GPU.
template <class Config, class Telemetry, class Step>
class CpuStepLauncher final : public StepLauncher<Config, Telemetry> {
 public:
  using Record = CompletionRecord<Telemetry>;

  /// Throws `Error` if the threads cannot be started.
  CpuStepLauncher(const Step& step, const ContextOptions& options,
                  std::shared_ptr<CpuLaunchOrders> orders)
      : step_(step),
        scope_(options.scope),
        orders_(std::move(orders)),
        shared_(scope_ == Scope::grid ? cpu_thread_count(options) : 1, orders_->abort) {
    start_team();
  }
  ~CpuStepLauncher() override { end_team(); }

  void launch(StreamTarget, const StepInput<Config>* input, Record* record) noexcept override {
    shared_.ticket = input->ticket;
    *record = Record{};
    record->taken_ns = record->started_ns = host_now_ns();
    input_ = input;
    record_ = record;
    tell_team(round_ + 1);
    run(0);
    finish();
  }
  [[nodiscard]] std::string description() const override {
    return "host threads, " + std::string(to_string(scope_)) + " scope, " +
           std::to_string(shared_.threads) + (shared_.threads == 1 ? " thread" : " threads");
  }

  void end() override { orders_->has_ended = true; }
  [[nodiscard]] bool has_ended() const override { return orders_->has_ended; }
  void request_abort() override {
    orders_->has_ended = true;
    orders_->abort = true;
  }

 private:
  static constexpr std::uint64_t over = ~std::uint64_t{0};

  void start_team() {
    try {
      for (std::uint32_t rank = 1; rank < shared_.threads; ++rank) {
        team_.emplace_back([this, rank] { follow(rank); });
      }
    } catch (const std::exception& e) {
      const std::size_t started = team_.size();
      end_team();
      throw Error("starting thread " + std::to_string(started + 2) + " of " +
                  std::to_string(shared_.threads) + " for steps in a stream failed (" + e.what() +
                  "): ask for fewer cpu_threads");
    }
  }
  void end_team() {
    tell_team(over);
    team_.clear();
  }
  void tell_team(std::uint64_t round) {
    round_ = round;
    round_.notify_all();
  }

  void follow(std::uint32_t rank) {
    for (std::uint64_t seen = 0;;) {
      round_.wait(seen);
      seen = round_;
      if (seen == over) return;
      run(rank);
    }
  }

  /// All ranks. What a step throws ends the program, as on the cpu executor.
  void run(std::uint32_t rank) noexcept {
    CpuGroup group(shared_, rank, step_scratch_bytes(step_));
    Telemetry ignored{};  // only rank 0 may write telemetry
    if constexpr (requires { step_.enter(group); }) step_.enter(group);
    step_(group, input_->config, rank == 0 ? record_->telemetry : ignored);
    shared_.barrier.arrive_and_wait();  // all have written, and said whether they failed
    if constexpr (requires { step_.leave(group); }) step_.leave(group);
    shared_.barrier.arrive_and_wait();  // nobody is in this launch when the next one begins
  }
  void finish() {
    record_->finished_ns = host_now_ns();
    if (!shared_.failed.exchange(false)) return;
    record_->status = CompletionStatus::failed;
    record_->code = shared_.code;
  }

  Step step_;
  Scope scope_;
  std::shared_ptr<CpuLaunchOrders> orders_;
  CpuGroupShared shared_;
  const StepInput<Config>* input_ = nullptr;
  Record* record_ = nullptr;
  std::atomic<std::uint64_t> round_ = 0;
  std::vector<std::jthread> team_;  // last: it must end before what it uses
};

}  // namespace aatgs
