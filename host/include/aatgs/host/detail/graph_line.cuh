// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/detail/polled_launches.cuh>
#include <aatgs/host/detail/run_length.hpp>
#include <aatgs/host/detail/step_graphs.cuh>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace aatgs::detail {

/// Configs of a queue of graphs, in order of their tickets: those in the graph on its way, those
/// that gather for the next one, and those behind them. The next graph begins when the one before
/// it has ended and the user has looked for a telemetry in vain: then he has nothing more to queue.
/// A first config, with nothing before it, goes at once. One thread at a time.
///
/// One graph at a time, since each takes 10 to 13 us beside its steps, also behind another: with 64
/// steps of 1 us in flight, one graph of 64 took 1.83 us a step, two of 32 by turns 2.29 (H200).
template <class Config, class Telemetry, class Step>
class GraphLine {
 public:
  GraphLine(const Step& step, const ContextOptions& options)
      : options_(options),
        launches_(options, options.telemetry_slots, options.first_ticket, 1),
        graphs_(step, options, 2, launches_),
        finished_(options.first_ticket),
        launched_(options.first_ticket),
        next_(options.first_ticket) {}

  QueueStatus add(const Config& config) {
    if (failure_) throw DeviceError(*failure_);
    if (!launches_.reader().slot_is_free(next_)) return QueueStatus::telemetry_full;
    if (!has_room()) {
      move_on();
      if (failure_) throw DeviceError(*failure_);
      if (!has_room()) return QueueStatus::config_full;
    }
    const bool is_first = launches_.reader().collected_count() == next_ - options_.first_ticket;
    if (gathered_ < device::graph_steps) {
      graphs_.buffer(gathering_).configs[gathered_++].value() = config;
    } else {
      behind_.push_back(config);
    }
    ++next_;
    if (is_first) move_on();
    if (failure_ && launched_ != next_) {  // it was not sent, and nobody counts it
      give_up_waiting();
      throw DeviceError(*failure_);
    }
    return QueueStatus::queued;
  }

  bool take(Completion<Telemetry>& out) {
    if (launches_.reader().try_read(launched_, out)) return true;
    // Those that have come since are for the next call: a graph that began before the caller had
    // seen them, and queued as many more, would be the shorter by these.
    const std::uint64_t collected = options_.first_ticket + launches_.reader().collected_count();
    if (collected == launched_) move_on();
    return false;
  }

  /// Starts the next graph if none is on its way. A failure is kept.
  void move_on() {
    if (failure_) return;
    while (finished_ != launched_ && !launches_.reader().is_open(finished_)) ++finished_;
    if (has_ended_) give_up_waiting();
    if (launched_ == next_ || finished_ != launched_) return;
    try {
      start();
    } catch (const DeviceError& error) {
      failure_ = error;
    }
  }
  /// The same, and finds out whether the device has failed.
  void check() {
    move_on();
    if (failure_) return;
    try {
      launches_.check("running a graph of steps");
    } catch (const DeviceError& error) {
      failure_ = error;
    }
  }

  /// Nothing is lost, so nothing is empty before its telemetry is there.
  [[nodiscard]] bool is_empty() const { return finished_ == next_; }
  [[nodiscard]] std::uint64_t lost() const { return 0; }
  [[nodiscard]] RingCounters counters(bool exact) const {
    return {static_cast<std::uint32_t>(next_ - finished_),
            launches_.reader().unread(launched_, exact)};
  }
  [[nodiscard]] const std::optional<DeviceError>& failure() const { return failure_; }

  [[nodiscard]] std::string description() const {
    const KernelShape& shape = graphs_.shape();
    return std::string("graphs of steps") +
           (graphs_.is_programmatic() ? " with dependent launch on " : " on ") +
           gpu_name(options_.device) + ", " + std::to_string(shape.blocks) +
           (shape.blocks == 1 ? " block of " : " blocks of ") + std::to_string(shape.threads) +
           " threads";
  }
  /// What is open: CUDA holds all of a graph.
  [[nodiscard]] std::string describe() const {
    std::vector<std::uint64_t> running, queued;
    for (std::uint64_t ticket = finished_; ticket != next_; ++ticket) {
      (ticket < launched_ ? running : queued).push_back(ticket);
    }
    return describe_open(running, queued) + launches_.wedged();
  }

  // From any thread:
  void end() { has_ended_ = true; }
  [[nodiscard]] bool has_ended() const { return has_ended_; }
  void request_abort() {
    has_ended_ = true;
    launches_.request_abort();
  }

  /// Leaves all memory to a step that cannot be ended.
  void abandon() noexcept { (void)launches_.has_ended(std::chrono::nanoseconds(0)); }

 private:
  using Graphs = StepGraphs<Config, Telemetry, Step>;
  using Configs = typename Graphs::Configs;

  [[nodiscard]] bool has_room() const { return next_ - finished_ < options_.config_slots; }

  void start() {
    const std::uint32_t count = run_length(gathered_, device::graph_steps);
    auto& from = graphs_.buffer(gathering_);
    from.first = {launched_, launched_, 0};
    graphs_.launch(gathering_, count);
    launched_ += count;
    gather_rest(from, count);
  }

  /// What a graph of `count` has left, and then what was behind it, goes into the other buffer.
  void gather_rest(const Configs& from, std::uint32_t count) {
    gathering_ = 1 - gathering_;
    auto& to = graphs_.buffer(gathering_);
    const std::uint32_t rest = gathered_ - count;
    for (std::uint32_t i = 0; i < rest; ++i) to.configs[i] = from.configs[count + i];
    gathered_ = rest;
    for (; gathered_ < device::graph_steps && !behind_.empty(); behind_.pop_front()) {
      to.configs[gathered_++].value() = behind_.front();
    }
  }

  void give_up_waiting() {
    gathered_ = 0;
    behind_.clear();
    next_ = launched_;
  }

  ContextOptions options_;
  PolledLaunches<Telemetry> launches_;
  Graphs graphs_;
  std::atomic<bool> has_ended_ = false;
  std::uint32_t gathering_ = 0;  ///< the buffer of the next graph; the other is that on its way
  std::uint32_t gathered_ = 0;   ///< configs in it
  std::deque<Config> behind_;    ///< for which it has no room
  std::uint64_t finished_;       ///< the first ticket that has not come back
  std::uint64_t launched_;       ///< the first of those that wait
  std::uint64_t next_;
  std::optional<DeviceError> failure_;
};

}  // namespace aatgs::detail
