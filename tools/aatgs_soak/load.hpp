// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <limits>
#include <optional>
#include <vector>

#include "ledger.hpp"
#include "random.hpp"
#include "watch.hpp"

namespace aatgs::soak {

/// What is expected of an executor, to share out time among loads; only roughly right.
struct Costs {
  double trip_ns;    ///< one config alone, to its telemetry
  double config_ns;  ///< of a stream
};

Costs costs_of(ExecutorKind executor, Scope scope);
/// With what it costs to leave the GPU and come back.
Costs costs_of(const ContextOptions& options);

/// What one port is to go through.
struct LoadPlan {
  ContextOptions options;
  std::uint32_t port = 0;
  std::uint64_t salt = 0;                                      ///< the context's
  std::uint64_t configs = 0;                                   ///< no more than these
  double budget_ns = std::numeric_limits<double>::infinity();  ///< as `Costs` has it
  /// When to break off, whatever is in flight.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
  bool some_fail = false;
  std::uint32_t spin_ns = 0;      ///< most that a step spins
  bool may_be_ended = false;      ///< another port may end the context under this one
  bool leaves_in_flight = false;  ///< ends without collecting everything
  bool in_batches = true;         ///< also by `execute_batch`, which trusts the executor
};

/// Loads one port of a context in changing ways and checks all that comes back. One thread.
class PortLoad {
 public:
  PortLoad(SoakContext& port, const LoadPlan& plan, Random random, Cell& cell);
  ~PortLoad();
  PortLoad(const PortLoad&) = delete;
  PortLoad& operator=(const PortLoad&) = delete;

  /// The load. Notes what is thrown.
  void run() noexcept;
  /// Collects what there is and checks the context's account. `ended`: it has been shut down.
  void settle(bool ended);

  [[nodiscard]] Ledger& ledger() { return ledger_; }
  /// An error was found, so that waiting for the rest may be in vain.
  [[nodiscard]] bool is_broken() const { return is_hopeless_ || !ledger_.tally().first.empty(); }

 private:
  using Done = SoakContext::Done;
  static constexpr std::size_t most_at_once = 64;

  /// The ways to load it; each for about `ns`.
  void many(double ns);
  void stream(double ns);
  void bursts(double ns);
  void single(double ns);
  void full(double ns);
  void batches(double ns);
  void waits(double ns);

  void run_phases();
  [[nodiscard]] bool over();
  [[nodiscard]] bool has_ended();
  [[nodiscard]] bool is_phase_over();
  [[nodiscard]] double stream_config_ns() const;
  [[nodiscard]] std::uint64_t count_for(double ns, double each_ns) const;
  [[nodiscard]] std::uint64_t left() const { return plan_.configs - ledger_.submitted(); }
  void pause();
  void park();

  const SoakConfig& config_of(std::uint64_t ticket);
  void make(SoakConfig& config, std::uint64_t ticket) const;
  bool try_queue();
  std::size_t try_queue_many(std::size_t wish);
  void note_refusal(QueueStatus status);
  void accept(std::uint64_t count, std::uint64_t first_ticket);
  bool poll();
  std::size_t poll_many(std::size_t wish);
  void take(const Done& done);
  bool drain();
  void finish();
  void flush();
  void collect_all();
  QueueResult queue(const SoakConfig& config);
  void idle();

  SoakContext& port_;
  const LoadPlan& plan_;
  Costs costs_;
  Random random_;
  Cell& cell_;
  Ledger ledger_;
  bool is_lossy_;
  std::uint64_t depth_;  // most in flight
  std::array<SoakConfig, most_at_once> configs_;
  std::chrono::steady_clock::time_point phase_until_ = std::chrono::steady_clock::time_point::max();
  std::uint32_t looks_ = 0;
  bool phase_is_over_ = false;
  std::uint64_t made_until_;  // tickets below it are in `configs_`
  std::vector<Done> done_;
  double spent_ns_ = 0;
  std::uint32_t idle_rounds_ = 0;
  bool closed_ = false;
  bool is_hopeless_ = false;  // the executor says that all is done, but not all came back
};

}  // namespace aatgs::soak
