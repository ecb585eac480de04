// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/worker_events.hpp>
#include <aatgs/runtime/completion.hpp>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

namespace aatgs {

/// Whether a config was accepted.
enum class QueueStatus {
  queued,
  config_full,     ///< no free slot in the config ring
  telemetry_full,  ///< the telemetry that had this ticket's slot has not been collected
  closed,          ///< the context has been shut down
};

enum class StopMode {
  drain,  ///< everything queued has been done; leave
  abort,  ///< leave at the next check
};

/// How an executor's rings look now; see `ExecutionStatistics`.
struct RingCounters {
  std::uint32_t config_occupied = 0;
  std::uint32_t telemetry_unread = 0;
};

/// What one port of a context drives; one class for each `ExecutorKind`. Configs get tickets in the
/// order in which they are accepted. Used by one thread at a time.
template <class Config, class Telemetry>
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// Accepts a config or says why not.
  virtual QueueStatus try_submit(const Config& config) = 0;
  /// Collects one completion, the oldest if it is there.
  virtual bool try_collect(Completion<Telemetry>& out) = 0;

  /// The same for several in a row; returns how many. `refused`: why not the next one.
  virtual std::size_t try_submit_many(std::span<const Config> configs, QueueStatus& refused) {
    std::size_t count = 0;
    refused = QueueStatus::queued;
    try {
      while (count < configs.size() &&
             (refused = try_submit(configs[count])) == QueueStatus::queued) {
        ++count;
      }
    } catch (const Error&) {
      if (count == 0) throw;
      refused = QueueStatus::config_full;  // those before it must be counted; the next call tells
    }
    return count;
  }
  virtual std::size_t try_collect_many(std::span<Completion<Telemetry>> out) {
    std::size_t count = 0;
    while (count < out.size() && try_collect(out[count])) ++count;
    return count;
  }

  /// Telemetries lost by policy so far.
  [[nodiscard]] virtual std::uint64_t lost() const = 0;
  /// Whether every submitted config has been run to its end, collected or not.
  [[nodiscard]] virtual bool idle() const = 0;
  [[nodiscard]] virtual RingCounters ring_counters(bool exact) = 0;
  [[nodiscard]] virtual std::uint64_t parks() const = 0;
  /// Configs run while `try_submit` waits, rather than beside the caller.
  [[nodiscard]] virtual bool is_synchronous() const = 0;
  /// Blocks that stay on the GPU, or threads, that run steps, of all ports; 0: it keeps none.
  [[nodiscard]] virtual std::uint32_t workers() const { return 0; }
  /// One line for a person: what it runs on and how wide.
  [[nodiscard]] virtual std::string description() const = 0;

  /// What it has come to, if it chooses by itself; else null. Lives as long as the executor.
  [[nodiscard]] virtual const ExecutorChoice* choice() const { return nullptr; }
  /// Who takes configs and gives completions from now on: itself, or the one it has chosen for
  /// good, which is spared this one in between. Null: that may change.
  [[nodiscard]] virtual Executor* settled() { return this; }

  /// Whether it still measures what to choose.
  [[nodiscard]] virtual bool is_measuring() const { return false; }
  /// Whether it refuses configs for a change that it is about to make, and not for a full ring.
  [[nodiscard]] virtual bool is_changing() const { return false; }
  /// Runs a known batch whole, under the tickets from `first_ticket` on, and waits for it, if it
  /// has a faster way than one by one or wants to know. Nothing is in flight. True: it has, and
  /// `settled` may now be another.
  virtual bool try_batch([[maybe_unused]] std::uint64_t first_ticket,
                         [[maybe_unused]] std::span<const Config> configs,
                         [[maybe_unused]] std::span<Completion<Telemetry>> results) {
    return false;
  }

  /// Leaves the GPU at the next moment without work, until the next config. False: not within the
  /// deadline. True at once if nothing stays there between configs.
  virtual bool park(std::chrono::nanoseconds) { return true; }
  /// Ends all work soon, for all ports, and waits for nothing. From any thread.
  virtual void request_abort() = 0;
  /// One line on the configs that are not back: which run, which wait, and where the device has
  /// given up a wait. Readable while the GPU is wedged. Empty: there are none.
  [[nodiscard]] virtual std::string hang_report() const { return {}; }

  /// Appends what workers have done since the last call, of all ports. Throws `DeviceError`.
  virtual void read_events([[maybe_unused]] WorkerEvents& into) {}

  /// Throws `DeviceError` if the GPU has failed, `UseError` if another port or thread has ended the
  /// executor, `TimeoutError` if it does not start. Slow: for waits, not for every config.
  virtual void check() = 0;
  /// Ends, for all ports; completions written so far can still be collected. False: not within the
  /// deadline.
  virtual bool stop(StopMode mode, std::chrono::nanoseconds deadline) = 0;
};

}  // namespace aatgs
