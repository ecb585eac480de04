// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/executor.hpp>
#include <aatgs/host/ring_memory.hpp>
#include <aatgs/runtime/completion_reader.hpp>
#include <aatgs/runtime/config_ring.hpp>
#include <memory>
#include <utility>

namespace aatgs {

/// The workers at the other end of the rings: a resident kernel or CPU threads.
class Residency {
 public:
  Residency() = default;
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;
  virtual ~Residency() = default;

  /// Brings the workers back if they have parked.
  virtual void revive() {}
  [[nodiscard]] virtual std::uint64_t parks() const { return 0; }
  /// Configs that can run at once.
  [[nodiscard]] virtual std::uint32_t workers() const = 0;
  [[nodiscard]] virtual std::string description() const = 0;
  virtual void check() {}
  /// Makes the workers leave; false: they did not within the deadline.
  virtual bool stop(Command command, std::chrono::nanoseconds deadline) = 0;
};

/// Executor behind rings: `resident` and `cpu`. The host side is the same for both.
template <class Config, class Telemetry>
class RingExecutor final : public Executor<Config, Telemetry> {
 public:
  RingExecutor(std::unique_ptr<RingMemory> memory, std::unique_ptr<Residency> residency,
               const ContextOptions& options)
      : memory_(std::move(memory)),
        residency_(std::move(residency)),
        producer_(memory_->config(), options.first_ticket),
        reader_(memory_->telemetry(), options.first_ticket, residency_->workers()),
        policy_(options.telemetry_policy),
        first_ticket_(options.first_ticket),
        // Half of the park time: see `wake`.
        quiet_limit_ns_((static_cast<std::uint64_t>(options.park_after.count()) + 1) / 2) {}

  QueueStatus try_submit(const Config& config) override {
    if (policy_ == TelemetryPolicy::block && !reader_.slot_is_free(producer_.next())) {
      return QueueStatus::telemetry_full;
    }
    if (!producer_.has_room()) return QueueStatus::config_full;
    producer_.push(config);
    return QueueStatus::queued;
  }

  bool try_collect(Completion<Telemetry>& out) override {
    return reader_.try_read(producer_.next(), out);
  }

  /// The kernel parks only when no config has come for `park_after`, so a host that queued one less
  /// than half of that ago need neither fence nor look.
  void wake() override {
    full_fence();  // the config before the look (Dekker)
    residency_->revive();
  }
  [[nodiscard]] std::uint64_t quiet_limit_ns() const override { return quiet_limit_ns_; }

  [[nodiscard]] std::uint64_t lost() const override {
    return policy_ == TelemetryPolicy::drop_newest ? memory_->sum_counters().dropped
                                                   : reader_.overwritten();
  }

  [[nodiscard]] bool idle() const override {
    const std::uint64_t submitted = producer_.next() - first_ticket_;
    if (policy_ != TelemetryPolicy::block) return memory_->sum_counters().finished == submitted;
    return reader_.collected_count() + reader_.unread(producer_.next(), true) == submitted;
  }

  [[nodiscard]] RingCounters ring_counters(bool exact) override {
    return {producer_.occupied(), reader_.unread(producer_.next(), exact)};
  }

  [[nodiscard]] std::uint64_t parks() const override { return residency_->parks(); }
  [[nodiscard]] bool is_synchronous() const override { return false; }
  [[nodiscard]] std::string description() const override { return residency_->description(); }
  void check() override { residency_->check(); }

  bool stop(StopMode mode, std::chrono::nanoseconds deadline) override {
    return residency_->stop(mode == StopMode::drain ? Command::leave : Command::abort, deadline);
  }

 private:
  std::unique_ptr<RingMemory> memory_;  // outlives the workers
  std::unique_ptr<Residency> residency_;
  ConfigProducer<Config> producer_;
  CompletionReader<Telemetry> reader_;
  TelemetryPolicy policy_;
  std::uint64_t first_ticket_;
  std::uint64_t quiet_limit_ns_;
};

}  // namespace aatgs
