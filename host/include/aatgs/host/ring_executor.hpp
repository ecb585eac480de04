// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/residency.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <aatgs/runtime/config_ring.hpp>
#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

namespace aatgs {

/// Executor behind the rings of one port: `resident` and `cpu`. The host side is the same for both.
/// On lines of its own, since the executors of other ports are busy in other threads.
template <class Config, class Telemetry>
class alignas(line_bytes) RingExecutor final : public Executor<Config, Telemetry> {
 public:
  RingExecutor(std::shared_ptr<Residency> residency, std::uint32_t port,
               const ContextOptions& options)
      : residency_(std::move(residency)),
        memory_(residency_->memory().ports()[port]),
        presence_(residency_->memory().control().presence),
        port_(memory_.port()),
        producer_(port_.config, options.first_ticket),
        reader_(port_.telemetry, options.first_ticket, residency_->workers_of_port()),
        policy_(options.telemetry_policy),
        first_ticket_(options.first_ticket),
        most_window_(options.hot_window),
        bounded_(options.bounded),
        feed_{options.first_ticket, 1} {}

  QueueStatus try_submit(const Config& config) override {
    const QueueStatus status = find_room();
    if (status != QueueStatus::queued) return status;
    producer_.push(config);
    tell_workers();
    return status;
  }

  std::size_t try_submit_many(std::span<const Config> configs, QueueStatus& refused) override {
    std::size_t count = 0;
    refused = QueueStatus::queued;
    for (; count < configs.size(); ++count) {
      refused = find_room();
      if (refused != QueueStatus::queued) break;
      producer_.push(configs[count]);
    }
    if (count != 0) tell_workers();
    return count;
  }

  bool try_collect(Completion<Telemetry>& out) override {
    if (reader_.try_read(producer_.next(), out)) return true;
    if (has_parked() && !idle()) residency_->revive();
    return false;
  }

  [[nodiscard]] std::uint64_t lost() const override {
    return policy_ == TelemetryPolicy::drop_newest ? memory_.sum_counters().dropped
                                                   : reader_.overwritten();
  }

  [[nodiscard]] bool idle() const override {
    const std::uint64_t submitted = producer_.next() - first_ticket_;
    if (policy_ != TelemetryPolicy::block) return memory_.sum_counters().finished == submitted;
    return reader_.collected_count() + reader_.unread(producer_.next(), true) == submitted;
  }

  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    return {producer_.occupied(), reader_.unread(producer_.next(), exact)};
  }

  [[nodiscard]] std::uint64_t parks() const override { return residency_->parks(); }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::uint32_t workers() const override { return residency_->workers(); }
  [[nodiscard]] std::string description() const override { return residency_->description(); }

  bool park(std::chrono::nanoseconds deadline) override { return residency_->park(deadline); }
  void request_abort() override { residency_->request_abort(); }

  [[nodiscard]] std::string hang_report() const override {
    const std::string wedged = describe(residency_->memory().control().hang);
    if (idle()) return wedged;  // of a lossy ring's slots nobody can tell which are lost
    std::vector<std::uint64_t> taken;
    std::vector<std::uint64_t> waiting;
    for (std::uint64_t ticket = oldest_in_sight(); ticket != producer_.next(); ++ticket) {
      if (reader_.is_open(ticket)) {
        (is_taken(ticket) ? taken : waiting).push_back(ticket);
      }
    }
    return describe_open(taken, waiting) + wedged;
  }

  void read_events(WorkerEvents& into) override {
    EventRingMemory* const events = residency_->memory().events();
    if (events != nullptr) events->read(into);
  }

  void check() override {
    if (residency_->has_ended()) {
      throw UseError(
          "waiting for configs of a context that was ended through another port or by another "
          "thread: flush before that");
    }
    if (has_parked() && !idle()) residency_->revive();
    try {
      residency_->check();
    } catch (const DeviceError& error) {
      const std::string open = hang_report();
      throw DeviceError(error.what() + (open.empty() ? open : "; " + open), error.code_name());
    }
  }

  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    return residency_->stop(mode == StopMode::drain ? Command::leave : Command::abort, deadline);
  }

 private:
  /// Of the tickets that the telemetry ring still tells of.
  [[nodiscard]] std::uint64_t oldest_in_sight() const {
    const std::uint64_t slots = port_.telemetry.shape.slots;
    return producer_.next() - std::min(producer_.next() - first_ticket_, slots);
  }
  /// Of those, one whose config slot has been used again has been taken.
  [[nodiscard]] bool is_taken(std::uint64_t ticket) const {
    return producer_.next() - ticket > port_.config.shape.slots || producer_.is_taken(ticket);
  }

  /// Whether the next config has a free slot: `queued`, or why not.
  [[nodiscard]] QueueStatus find_room() {
    if (residency_->has_ended()) return QueueStatus::closed;
    if (policy_ == TelemetryPolicy::block && !reader_.slot_is_free(producer_.next())) {
      return QueueStatus::telemetry_full;
    }
    return producer_.has_room() ? QueueStatus::queued : QueueStatus::config_full;
  }

  void tell_workers() {
    announce();
    if (has_parked() && !bounded_) residency_->revive();
  }

  /// Tickets that are announced ahead as a stream: more than come while the service block passes
  /// the word on.
  static constexpr std::uint64_t announced = 256;
  /// Polls are in each other's way on the bus, so no more of them than a stream is deep.
  static constexpr std::uint64_t least_window = 16;
  /// In a stream that is deeper, workers look only for what has been queued. That is one trip over
  /// the bus later, which other configs hide; but nobody reads the lines that this thread writes
  /// (H200, rings of 1,024: 17 M configs/s instead of 13; at depth 64 it would be 0.105 us a config
  /// instead of 0.080).
  static constexpr std::uint64_t most_early = 64;

  /// Tells the workers, where that has changed, how the last config and those to come are queued.
  void announce() {
    const std::uint64_t next = producer_.next();
    const std::uint64_t in_flight =
        next - first_ticket_ - reader_.collected_count() - reader_.overwritten();
    if (in_flight <= 1) {
      if (feed_.end <= next) return;
      feed_.end = next;
    } else if (in_flight > most_early) {
      feed_ = {next, most_window_};
    } else {
      const bool is_wide = in_flight <= feed_.window || feed_.window == most_window_;
      if (is_wide && feed_.end >= next + announced / 2) return;
      feed_.end = next + announced;
      feed_.window = std::min(std::max(std::bit_ceil(in_flight), least_window), most_window_);
    }
    tell_feed(port_, feed_);
  }

  /// The kernel announces that it parks and looks for configs once more when this thread's stores
  /// have surely arrived, so this look needs no fence after the push.
  [[nodiscard]] bool has_parked() const {
    return presence_of(load_shared(&presence_)) == Presence::parking;
  }

  std::shared_ptr<Residency> residency_;
  const PortMemory& memory_;
  const std::uint32_t& presence_;
  Port port_;
  ConfigProducer<Config> producer_;
  CompletionReader<Telemetry> reader_;
  TelemetryPolicy policy_;
  std::uint64_t first_ticket_;
  std::uint64_t most_window_;
  bool bounded_;
  Feed feed_;
};

/// The executors of all ports of a residency.
template <class Config, class Telemetry>
std::vector<std::unique_ptr<Executor<Config, Telemetry>>> make_ring_executors(
    const std::shared_ptr<Residency>& residency, const ContextOptions& options) {
  std::vector<std::unique_ptr<Executor<Config, Telemetry>>> executors;
  for (std::uint32_t port = 0; port < options.ports; ++port) {
    executors.push_back(
        std::make_unique<RingExecutor<Config, Telemetry>>(residency, port, options));
  }
  return executors;
}

}  // namespace aatgs
