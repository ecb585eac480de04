// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace aatgs {

/// Executor whose configs wait on the host, in a `Line`, until that sends them to the GPU, up to
/// `config_slots`. Each call moves them on, so a host that stays away leaves the GPU idle after
/// what is on its way. An abort gives up those that wait, and reaches steps at work that ask
/// `stop_requested`.
template <class Config, class Telemetry, class Line>
class LineExecutor final : public Executor<Config, Telemetry> {
 public:
  explicit LineExecutor(std::unique_ptr<Line> line) : line_(std::move(line)) {}

  ~LineExecutor() override {
    if (!stop(StopMode::abort, std::chrono::seconds(is_stuck_ ? 0 : 10))) line_->abandon();
  }

  QueueStatus try_submit(const Config& config) override {
    return line_->has_ended() ? QueueStatus::closed : line_->add(config);
  }
  bool try_collect(Completion<Telemetry>& out) override { return line_->take(out); }

  [[nodiscard]] std::uint64_t lost() const override { return line_->lost(); }
  [[nodiscard]] bool idle() const override {
    line_->move_on();
    return line_->is_empty();
  }
  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    if (exact) line_->move_on();
    return line_->counters(exact);
  }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return line_->description(); }

  void check() override {
    if (line_->has_ended()) {
      throw UseError(
          "waiting for configs of a context that was ended through another port or by another "
          "thread: flush before that");
    }
    line_->check();
    if (!line_->failure()) return;
    const std::string open = hang_report();
    throw DeviceError(line_->failure()->what() + (open.empty() ? open : "; " + open),
                      line_->failure()->code_name());
  }
  [[nodiscard]] std::string hang_report() const override {
    line_->move_on();
    return line_->describe();
  }

  void request_abort() override { line_->request_abort(); }
  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    line_->end();
    if (mode == StopMode::abort) line_->request_abort();
    const auto begin = std::chrono::steady_clock::now();
    for (line_->check(); !line_->is_empty() && !line_->failure(); line_->check()) {
      is_stuck_ = std::chrono::steady_clock::now() - begin > deadline;
      if (is_stuck_) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }

 private:
  std::unique_ptr<Line> line_;  ///< which questions move on as well
  bool is_stuck_ = false;       ///< a step did not end in time
};

}  // namespace aatgs
