// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/accounting.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/executor.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace aatgs {

/// What became of an attempt to queue.
struct QueueResult {
  QueueStatus status = QueueStatus::closed;
  std::uint64_t ticket = 0;  ///< if queued: its completion carries the same one
  explicit operator bool() const { return status == QueueStatus::queued; }
};

/// What became of an attempt to queue several.
struct QueueManyResult {
  std::size_t count = 0;                     ///< the first so many were queued
  std::uint64_t ticket = 0;                  ///< of the first; the others follow
  QueueStatus status = QueueStatus::queued;  ///< of the first that was not queued, if there is one
};

/// The host's handle on an executor that runs one kind of step: queue configs, poll completions.
/// Make one with `make_context` (in a .cu file) or `make_cpu_context`. Host code without CUDA can
/// hold it. One thread at a time; further host threads use a `port` each. The destructor aborts
/// what is still queued: `flush` first to keep it. Calls may leave the options' device selected on
/// the calling thread; contexts on several devices take turns in a thread, or have one each.
template <class Config, class Telemetry>
class alignas(line_bytes) GpuExecutionContext {
 public:
  using Done = Completion<Telemetry>;
  using Deadline = std::chrono::nanoseconds;  ///< counted from the call

  /// `executors`: one for each port, at least one; `port`: the number of the first.
  GpuExecutionContext(std::vector<std::unique_ptr<Executor<Config, Telemetry>>> executors,
                      const ExecutorChoice& choice, const ContextOptions& options,
                      std::uint32_t port = 0);
  ~GpuExecutionContext();
  GpuExecutionContext(GpuExecutionContext&&) noexcept = default;
  GpuExecutionContext& operator=(GpuExecutionContext&&) noexcept = delete;
  GpuExecutionContext(const GpuExecutionContext&) = delete;
  GpuExecutionContext& operator=(const GpuExecutionContext&) = delete;

  /// The context as another host thread uses it: its own rings, tickets, completions and statistics
  /// on the same kernel, whose workers are shared out among the ports. `i` is below the options'
  /// `ports`; port 0 is this object. Lives as long as this object. Throws `UseError`.
  [[nodiscard]] GpuExecutionContext& port(std::uint32_t i);

  /// Queues a config if there is room. `resident` and `cpu` never wait, allocate or lock in it, but
  /// to bring a parked kernel back; the others launch from it, `launch` and `graph` run the step,
  /// and `automatic` changes executors in it while it measures. This call, like every other, throws
  /// `DeviceError` from when it is known that the GPU has failed; completions that came before can
  /// be polled first.
  [[nodiscard]] QueueResult try_queue(const Config& config);
  /// Queues a config, by default as the options' policy and deadline say. If it cannot, the status
  /// names the full ring.
  [[nodiscard]] QueueResult queue(const Config& config);
  [[nodiscard]] QueueResult queue(const Config& config, Deadline deadline);

  /// Queues as many of the configs as there is room for, in their order. Cheaper than one by one.
  [[nodiscard]] QueueManyResult try_queue_many(std::span<const Config> configs);

  /// One completion if there is one, older ones first. Never waits.
  [[nodiscard]] std::optional<Done> poll();
  /// As many completions as there are and `out` holds; returns how many. Cheaper than one by one.
  [[nodiscard]] std::size_t poll_many(std::span<Done> out);
  /// The next completion, waited for; empty when nothing is in flight or the deadline has passed.
  [[nodiscard]] std::optional<Done> wait(Deadline deadline);

  /// Queues one config and returns a finished one if there is one. Throws `TimeoutError` if the
  /// options' queue deadline passes without room, `UseError` after shutdown.
  std::optional<Done> execute(const Config& config);
  /// Runs all configs and returns their completions in the order of the configs; any number, also
  /// more than the rings hold. Completions of earlier configs stay for `poll`. Telemetry that a
  /// lossy policy lost has the status `lost`. When nothing is in flight, `automatic` may take
  /// another road for batches.
  std::vector<Done> execute_batch(std::span<const Config> configs);
  /// The same into `results`, one for each config: batch after batch without asking for memory.
  /// Throws `UseError` if they are not as many.
  void execute_batch(std::span<const Config> configs, std::span<Done> results);

  /// Waits until everything queued is done. Collected completions stay for `poll`. False: the
  /// deadline passed first.
  [[nodiscard]] bool flush(Deadline deadline);
  /// Whether nothing is queued or running.
  [[nodiscard]] bool is_gpu_idle() const { return stopped_ || executor_->idle(); }

  [[nodiscard]] ExecutionStatistics stats() const;
  /// The page in which `aatgs_stats` reads them, up to a tenth of a second later while this context
  /// is used; or one sentence on why there is none.
  [[nodiscard]] const std::string& published_as() const { return page_->where(); }
  /// Starts the statistics anew; what is in flight counts as submitted.
  void reset_stats();

  /// Ends the executor, for all ports: flush the others first. `drain` runs what is queued first,
  /// `abort` gives it up as dropped; collected completions can still be polled. False: not within
  /// the deadline. Later calls only wait for what did not end in time.
  bool shutdown(StopMode mode, Deadline deadline = std::chrono::seconds(10));

  /// Leaves the GPU now rather than after `park_after`, when nothing is queued or running, so that
  /// others can have it; the next config brings it back. False: not within the deadline.
  [[nodiscard]] bool park(Deadline deadline = std::chrono::seconds(1));

  /// Ends all work of all ports soon. The one call for any thread: those that use the context find
  /// it closed, and their waits throw `UseError`. `shutdown` still has to follow.
  void request_abort() { executor_->request_abort(); }

  /// One line that names the configs which are not back, and where the device has given up a wait;
  /// empty if there are none. For a wait that took too long, or after a `shutdown` that failed.
  [[nodiscard]] std::string hang_report() const { return executor_->hang_report(); }

  /// What workers of all ports have done since the last call; nothing without `event_slots`. The
  /// events of a config are there when its completion is, but for those that were dropped.
  [[nodiscard]] WorkerEvents read_events() {
    WorkerEvents events;
    executor_->read_events(events);
    return events;
  }

  /// What it runs on, and why that was chosen.
  [[nodiscard]] ExecutorKind executor() const { return choice().kind; }
  [[nodiscard]] const std::string& reason() const { return choice().reason; }
  /// False while `automatic` still measures; `executor` may change until then.
  [[nodiscard]] bool is_settled() const { return !executor_->is_measuring(); }
  [[nodiscard]] std::string description() const { return executor_->description(); }
  /// Blocks that stay on the GPU, or threads, that run steps, of all ports; 0: none stay.
  [[nodiscard]] std::uint32_t workers() const { return executor_->workers(); }

 private:
  enum class Attempt { first, again };  // a config that finds no room counts once

  [[nodiscard]] const ExecutorChoice& choice() const {
    const ExecutorChoice* own = executor_->choice();
    return own == nullptr ? choice_ : *own;
  }
  [[nodiscard]] std::uint64_t lost() const;
  [[nodiscard]] std::uint64_t in_flight() const;
  [[nodiscard]] bool seems_idle() const;  // as far as is known without a look at the workers
  QueueStatus submit(const Config& config, Attempt attempt);
  std::size_t submit_many(std::span<const Config> configs, Attempt attempt, QueueStatus& refused);
  bool collect(Done& done);
  std::size_t collect_many(std::span<Done> out);
  bool collect_aside();
  bool run_batch_aside(std::span<const Config> configs, std::span<Done> results);
  static void mark_lost(std::span<Done> results, std::uint64_t first);
  void count_overflow(QueueStatus status);
  // Cold: kept out of the code of every config, which would be slower for it.
  [[gnu::cold, gnu::noinline]] void close();
  bool drain(Deadline deadline);
  [[gnu::cold, gnu::noinline]] void check(bool in_a_wait = true);
  void learn_failure();
  void look_in_passing();
  void throw_failure() const;
  /// Now and then asks whether the GPU is still well: a loop that only polls would never know.
  void count_miss() {
    if (closed_) return throw_failure();
    if (++misses_ % misses_per_check == 0) look_in_passing();
  }
  void sample_rings();
  [[nodiscard, gnu::cold, gnu::noinline]] ExecutionStatistics read_statistics() const;
  [[gnu::cold, gnu::noinline]] void publish(const ExecutionStatistics& statistics) const;
  [[gnu::cold, gnu::noinline]] void describe();
  [[gnu::cold, gnu::noinline]] void leave_last_report() const;

  std::unique_ptr<Executor<Config, Telemetry>> executor_;
  Executor<Config, Telemetry>* road_;  // `executor_`, or what that has settled on
  std::vector<std::unique_ptr<GpuExecutionContext>> other_ports_;
  ExecutorChoice choice_;
  ContextOptions options_;
  Accounting accounting_;
  std::deque<Done> aside_;  // collected while waiting for something else
  std::uint64_t next_ticket_;
  bool synchronous_;
  std::uint64_t lost_before_ = 0;
  mutable std::uint64_t lost_known_ = 0;  // as of the last look: with many workers one is dear
  std::uint64_t parks_before_ = 0;
  static constexpr std::uint32_t misses_per_check = 1U << 14;  // about half a millisecond
  std::uint32_t misses_ = 0;
  std::optional<DeviceError> failure_;
  bool closed_ = false;
  bool stopped_ = false;
  std::unique_ptr<StatisticsPage> page_;  // last: what every config needs lies close together
};

}  // namespace aatgs

#include <aatgs/host/detail/gpu_execution_context.ipp>
