// SPDX-License-Identifier: Apache-2.0
// A context whose workers do what goes wrong on a GPU.
#pragma once

#include <aatgs/host/gpu_execution_context.hpp>
#include <aatgs/host/ring_executor.hpp>
#include <functional>

#include "context_test_support.hpp"

namespace aatgs::test {

/// Workers that do only what the test has them do, in its thread.
class Puppet final : public Residency {
 public:
  explicit Puppet(const ContextOptions& options)
      : Residency(std::make_unique<ResidentMemory>(
            MemoryKind::host, options,
            MessageSizes{MessageBuffer<int>::granules,
                         MessageBuffer<CompletionRecord<int>>::granules},
            worker_count)),
        port_(memory().ports()[0].port()),
        next_(options.first_ticket) {
    say(Presence::running);
  }

  /// Takes the next config, if it is there.
  bool take() {
    if (!take_config(SingleLane{}, port_.config, next_, config_.words())) return false;
    mark_taken(port_.config, next_++);
    return true;
  }
  void publish(std::uint64_t ticket) {
    MessageBuffer<CompletionRecord<int>> record;
    record.value() = {};
    record.value().telemetry = static_cast<int>(ticket) + 100;
    publish_completion(SingleLane{}, port_.telemetry, 0, ticket, record);
  }
  void work() {
    while (take()) publish(next_ - 1);
  }
  [[nodiscard]] bool sees_config() const { return config_in_sight(port_.config, next_); }
  void say(Presence presence) {
    store_shared(&memory().control().presence, pack_presence(0, presence));
  }

  /// What a check finds wrong, and what the workers do when told to leave, saying whether they do.
  std::function<void()> fault = [] {};
  std::function<bool()> on_leave = [] { return true; };
  std::function<void()> on_park = [] {};
  std::function<void()> on_description = [] {};  ///< when asked what it is
  bool check_revives = true;                     ///< as the check of a resident kernel does

  /// Calls from elsewhere than the check of a puppet.
  [[nodiscard]] int revivals() const { return revivals_; }
  [[nodiscard]] std::chrono::nanoseconds leave_deadline() const { return leave_deadline_; }
  [[nodiscard]] Command command() const { return command_; }
  [[nodiscard]] int checks() const { return checks_; }
  [[nodiscard]] int leaves() const { return leaves_; }

  void revive() override {
    ++revivals_;
    come_back();
  }
  void check() override {
    ++checks_;
    if (check_revives) come_back();
    fault();
  }
  [[nodiscard]] std::uint32_t workers() const override { return worker_count; }
  [[nodiscard]] std::uint32_t workers_of_port() const override { return worker_count; }
  bool park(std::chrono::nanoseconds) override {
    on_park();
    return true;
  }
  [[nodiscard]] std::string description() const override {
    on_description();
    return "puppet";
  }

 private:
  static constexpr std::uint32_t worker_count = 4;

  void come_back() {
    if (presence_of(load_shared(&memory().control().presence)) != Presence::parking) return;
    say(Presence::running);
    work();
  }

  bool make_leave(Command command, std::chrono::nanoseconds deadline) override {
    ++leaves_;
    command_ = command;
    leave_deadline_ = deadline;
    return on_leave();
  }

  Port port_;
  std::uint64_t next_;
  MessageBuffer<int> config_;
  int revivals_ = 0;
  int checks_ = 0;
  int leaves_ = 0;  ///< times it was told to
  Command command_ = Command::run;
  std::chrono::nanoseconds leave_deadline_{0};
};

using PuppetContext = GpuExecutionContext<int, int>;

/// 4 configs find room before any is taken.
inline ContextOptions small_rings() {
  ContextOptions options;
  options.config_slots = 4;
  options.telemetry_slots = 8;
  options.queue_deadline = 20ms;
  options.first_ticket = (std::uint64_t{1} << 32) * 4 - 2;  // laps wrap, tickets pass 2^34
  return options;
}

inline PuppetContext make(const std::shared_ptr<Puppet>& puppet, const ContextOptions& options) {
  return {
      make_ring_executors<int, int>(puppet, options), {ExecutorKind::resident, "puppet"}, options};
}

/// Checks the account after `submitted` configs.
inline void check_account(const PuppetContext& ctx, std::uint64_t submitted,
                          std::uint64_t completed, std::uint64_t dropped) {
  const ExecutionStatistics s = ctx.stats();
  CHECK(s.submitted == submitted);
  CHECK(s.completed == completed);
  CHECK(s.failed == 0);
  CHECK(s.dropped == dropped);
  CHECK(s.in_flight == submitted - completed - dropped);
}

}  // namespace aatgs::test
