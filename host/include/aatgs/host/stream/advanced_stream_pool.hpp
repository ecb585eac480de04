// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream.hpp>
#include <aatgs/host/stream/stream_strategy.hpp>
#include <chrono>
#include <memory>
#include <vector>

namespace aatgs {

struct AdvancedStreamPoolOptions {
  StreamStrategy strategy = StreamStrategy::load_balanced;
  unsigned least = 2;    ///< streams, at least 1
  unsigned most = 8;     ///< at least `least`
  unsigned grow_at = 2;  ///< jobs in every stream, at which another stream is made
  /// A stream beyond `least` that nobody used for that long is ended.
  std::chrono::nanoseconds shrink_after = std::chrono::seconds(1);
  unsigned trial_jobs = 32;  ///< by which `optimize_configuration` measures a strategy, at least 1
  bool metrics = true;       ///< see `StreamOptions`
};

/// What is in a pool's stream.
struct StreamLoad {
  std::string stream;
  StreamPriority priority{};
  unsigned jobs = 0;  ///< not done
  /// That these jobs are expected to take, whole ones.
  std::chrono::nanoseconds pending{0};
};

/// Streams of one device, picked job by job. What is given to a stream between `shared` or `lease`
/// and the lease's end is a job: events before and after tell when it is done and how long it took,
/// so the load is what is really in the streams. Costs about four event records a job. Thread-safe.
class AdvancedStreamPool {
  struct State;

 public:
  explicit AdvancedStreamPool(std::shared_ptr<StreamDevice> device,
                              AdvancedStreamPoolOptions options = {});
  ~AdvancedStreamPool();
  AdvancedStreamPool(const AdvancedStreamPool&) = delete;
  AdvancedStreamPool& operator=(const AdvancedStreamPool&) = delete;

  /// The stream of one job. May outlive the pool. One thread at a time.
  class Lease {
   public:
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) noexcept;
    ~Lease() { end(); }
    [[nodiscard]] Stream& operator*() const noexcept { return *stream_; }
    [[nodiscard]] Stream* operator->() const noexcept { return stream_; }
    /// The job is what the stream has been given; the stream is not to be used through this after.
    void end() noexcept;

   private:
    friend class AdvancedStreamPool;
    Lease() = default;

    std::shared_ptr<State> state_;
    Stream* stream_ = nullptr;
    void* job_ = nullptr;
  };

  /// The stream that the strategy picks; other jobs may be in it. Waits if all are leased for
  /// themselves; `TimeoutError` after `deadline`.
  [[nodiscard]] Lease shared(const Workload& job = {},
                             std::chrono::nanoseconds deadline = std::chrono::seconds(60));
  /// One that nobody else holds, or is given meanwhile.
  [[nodiscard]] Lease lease(const Workload& job = {},
                            std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  /// Whether there is a stream that nobody holds and whose jobs are done.
  [[nodiscard]] bool has_ready_streams();
  /// False: there was none within `timeout`.
  [[nodiscard]] bool wait_for_any_ready(std::chrono::nanoseconds timeout);

  /// For jobs that were measured in another way, or elsewhere; those of leases count by themselves.
  void record_workload_completion(WorkloadKind kind, std::chrono::nanoseconds time);
  /// On the device; 0: none was done yet.
  [[nodiscard]] std::chrono::nanoseconds average_workload_time(WorkloadKind kind);

  [[nodiscard]] StreamStrategy strategy() const;
  void set_strategy(StreamStrategy strategy);
  [[nodiscard]] StrategyMeasures measures();
  /// To be called now and then, while jobs are as they usually are: tries each strategy for
  /// `trial_jobs`, and then stays with the one by which they were completed soonest.
  StreamOptimization optimize_configuration();
  /// For jobs that are no longer what they were.
  void forget_measures();

  [[nodiscard]] std::vector<StreamLoad> loads();
  [[nodiscard]] std::size_t size() const;
  /// Ends the streams that `shrink_after` tells to, as `shared` and `lease` do. Returns how many.
  std::size_t shrink();

 private:
  Lease take(const Workload& job, bool alone, std::chrono::nanoseconds deadline);

  std::shared_ptr<State> state_;
};

}  // namespace aatgs
