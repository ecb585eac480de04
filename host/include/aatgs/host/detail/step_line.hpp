// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/step_launcher.hpp>
#include <aatgs/host/stream/gpu_triple_buffer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace aatgs::detail {

/// Configs and telemetries of a triple buffer of steps, in order of their tickets: those that wait
/// on the host, those on their way, and those that are done. One thread at a time.
template <class Config, class Telemetry>
class StepLine {
 public:
  using Launcher = StepLauncher<Config, Telemetry>;

  StepLine(std::shared_ptr<StreamDevice> device, std::shared_ptr<Launcher> launcher,
           const ContextOptions& options)
      : launcher_(std::move(launcher)),
        options_(options),
        is_gpu_(device->is_gpu()),
        buffer_(
            std::move(device), 1, 1,
            {.name = "steps", .slots = options.buffer_slots, .deadline = std::chrono::seconds(10)}),
        oldest_(options.first_ticket),
        next_(options.first_ticket) {}

  QueueStatus add(const Config& config) {
    QueueStatus status = find_room();
    if (status != QueueStatus::queued) {
      move_on();
      status = find_room();
    }
    if (failure_) throw DeviceError(*failure_);
    if (status != QueueStatus::queued) return status;
    waiting_.push_back({config, next_});
    try {
      move_on();
      if (failure_) throw DeviceError(*failure_);
    } catch (...) {  // it was not sent, and nobody counts it
      if (!waiting_.empty()) waiting_.pop_back();
      throw;
    }
    ++next_;
    return status;
  }

  bool take(Completion<Telemetry>& out) {
    if (done_.empty()) move_on();
    if (done_.empty()) {
      const bool is_open = open_ > 0 && !failure_;
      if (is_open && !is_gpu_) std::this_thread::yield();  // to the threads that it polls for
      return false;
    }
    out = done_.front();
    done_.pop_front();
    return true;
  }

  /// Collects what is done and sends what there is room for. A failure is kept.
  void move_on() {
    if (failure_) return;
    try {
      while (open_ > 0 && collect()) {
      }
      if (launcher_->has_ended()) waiting_.clear();
      while (!waiting_.empty() && !failure_ && send()) {
      }
    } catch (const DeviceError& error) {
      failure_ = error;
    }
  }

  /// `move_on` finds out, too, whether the device has failed.
  void check() { move_on(); }

  [[nodiscard]] bool is_empty() const { return open_ + waiting_.size() == 0; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] RingCounters counters(bool) const {
    return {static_cast<std::uint32_t>(waiting_.size()), static_cast<std::uint32_t>(done_.size())};
  }
  [[nodiscard]] const std::optional<DeviceError>& failure() const { return failure_; }
  [[nodiscard]] std::string description() const {
    return "triple buffer of " + std::to_string(options_.buffer_slots) +
           (options_.buffer_slots == 1 ? " slot on " : " slots on ") + launcher_->description();
  }
  /// What is open: the oldest is in the step, or about to be; and where a step is wedged.
  [[nodiscard]] std::string describe() const {
    std::vector<std::uint64_t> running, queued;
    for (std::uint64_t i = 0; i < open_; ++i) (i == 0 ? running : queued).push_back(oldest_ + i);
    for (const Input& input : waiting_) queued.push_back(input.ticket);
    return describe_open(running, queued) + launcher_->wedged();
  }

  // For all ports of the context, from any thread:
  void end() { launcher_->end(); }
  [[nodiscard]] bool has_ended() const { return launcher_->has_ended(); }
  void request_abort() { launcher_->request_abort(); }

  /// Leaves the buffer to a step that cannot be ended.
  void abandon() noexcept {
    launcher_->abandon();
    try {
      buffer_.close(std::chrono::nanoseconds(0));
    } catch (const Error&) {  // as it must
    }
  }

 private:
  using Input = StepInput<Config>;
  using Record = CompletionRecord<Telemetry>;

  [[nodiscard]] QueueStatus find_room() const {
    const std::size_t uncollected = waiting_.size() + open_ + done_.size();
    if (options_.telemetry_policy == TelemetryPolicy::block &&
        uncollected >= options_.telemetry_slots) {
      return QueueStatus::telemetry_full;
    }
    return waiting_.size() < options_.config_slots ? QueueStatus::queued : QueueStatus::config_full;
  }

  /// False: the oldest is not ready, or the device has failed.
  bool fetch(Completion<Telemetry>& into) {
    try {
      const auto output = buffer_.try_collect();
      if (!output.is_empty()) into = {output.values().front(), oldest_};
      return !output.is_empty();
    } catch (const DeviceError& error) {
      failure_ = error;
      return false;
    }
  }

  bool collect() {
    done_.emplace_back();  // before it is collected: there may be no memory
    if (!fetch(done_.back())) {
      done_.pop_back();
      return false;
    }
    ++oldest_;
    --open_;
    if (done_.size() <= options_.telemetry_slots) return true;
    ++lost_;
    if (options_.telemetry_policy == TelemetryPolicy::drop_newest) {
      done_.pop_back();
    } else {
      done_.pop_front();
    }
    return true;
  }

  bool send() {
    auto slot = buffer_.try_acquire();
    if (slot.is_empty()) return false;
    slot.input().front() = waiting_.front();
    buffer_.submit(std::move(slot),
                   [launcher = launcher_](StreamTarget target, Input* input, Record* record) {
                     launcher->launch(target, input, record);
                   });
    waiting_.pop_front();
    ++open_;
    return true;
  }

  std::shared_ptr<Launcher> launcher_;
  ContextOptions options_;
  bool is_gpu_;
  GpuTripleBuffer<Input, Record> buffer_;
  std::deque<Input> waiting_;
  std::deque<Completion<Telemetry>> done_;
  std::size_t open_ = 0;  ///< in the buffer
  std::uint64_t oldest_;  ///< the first of these
  std::uint64_t next_;
  std::uint64_t lost_ = 0;
  std::optional<DeviceError> failure_;
};

}  // namespace aatgs::detail
