// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/step_line.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/step_launcher.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace aatgs {

/// Executor `triple_buffer`: config up, step and telemetry down in a stream each, through a
/// `GpuTripleBuffer`; `buffer_slots` steps are on their way at once and run one after the other.
/// Configs beyond these wait on the host, up to `config_slots`; each call moves them on, so a host
/// that stays away leaves the GPU idle after what is on its way. An abort gives up those that wait,
/// and reaches steps at work that ask `stop_requested`.
template <class Config, class Telemetry>
class TripleBufferExecutor final : public Executor<Config, Telemetry> {
 public:
  using Launcher = StepLauncher<Config, Telemetry>;
  using Line = detail::StepLine<Config, Telemetry>;

  TripleBufferExecutor(std::shared_ptr<StreamDevice> device, std::shared_ptr<Launcher> launcher,
                       const ContextOptions& options)
      : launcher_(std::move(launcher)),
        line_(std::make_unique<Line>(std::move(device), launcher_, options)) {}

  ~TripleBufferExecutor() override {
    if (stop(StopMode::abort, std::chrono::seconds(is_stuck_ ? 0 : 10))) return;
    launcher_->abandon();
    line_->abandon();
  }

  QueueStatus try_submit(const Config& config) override {
    if (launcher_->has_ended()) return QueueStatus::closed;
    return line_->add(config);
  }
  bool try_collect(Completion<Telemetry>& out) override { return line_->take(out); }

  [[nodiscard]] std::uint64_t lost() const override { return line_->lost(); }
  [[nodiscard]] bool idle() const override {
    line_->move_on();
    return line_->is_empty();
  }
  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    if (exact) line_->move_on();
    return line_->counters();
  }
  [[nodiscard]] std::uint64_t parks() const override { return 0; }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override {
    return "triple buffer of " + std::to_string(line_->slots()) +
           (line_->slots() == 1 ? " slot on " : " slots on ") + launcher_->description();
  }

  void check() override {
    if (launcher_->has_ended()) {
      throw UseError(
          "waiting for configs of a context that was ended through another port or by another "
          "thread: flush before that");
    }
    line_->move_on();
    if (!line_->failure()) return;
    const std::string open = hang_report();
    throw DeviceError(line_->failure()->what() + (open.empty() ? open : "; " + open),
                      line_->failure()->code_name());
  }
  [[nodiscard]] std::string hang_report() const override {
    line_->move_on();
    return line_->describe() + launcher_->wedged();
  }

  void request_abort() override { launcher_->request_abort(); }
  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    launcher_->end();
    if (mode == StopMode::abort) launcher_->request_abort();
    const auto begin = std::chrono::steady_clock::now();
    for (line_->move_on(); !line_->is_empty() && !line_->failure(); line_->move_on()) {
      is_stuck_ = std::chrono::steady_clock::now() - begin > deadline;
      if (is_stuck_) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    return true;
  }

 private:
  std::shared_ptr<Launcher> launcher_;
  std::unique_ptr<Line> line_;  ///< which questions move on as well
  bool is_stuck_ = false;       ///< a step did not end in time
};

/// The executors of all ports; `make(port)` gives each its launcher.
template <class Config, class Telemetry, class Make>
std::vector<std::unique_ptr<Executor<Config, Telemetry>>> make_triple_buffer_executors(
    const std::shared_ptr<StreamDevice>& device, const ContextOptions& options, Make make) {
  std::vector<std::unique_ptr<Executor<Config, Telemetry>>> executors;
  for (std::uint32_t port = 0; port < options.ports; ++port) {
    executors.push_back(
        std::make_unique<TripleBufferExecutor<Config, Telemetry>>(device, make(), options));
  }
  return executors;
}

}  // namespace aatgs
