// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aatgs {

/// How an `AdvancedStreamPool` picks the stream of a job.
enum class StreamStrategy {
  round_robin,     ///< by turns
  load_balanced,   ///< the least time that the jobs in it are expected to take
  priority,        ///< the least loaded of the job's priority, or of the nearest
  workload_aware,  ///< the least loaded of those in which no job of another kind is
};
inline constexpr std::size_t stream_strategies = 4;

/// What a job mostly does: jobs of different kinds overlap well, so they get streams of their own.
enum class WorkloadKind { compute, memory, mixed, coordination };
inline constexpr std::size_t workload_kinds = 4;

[[nodiscard]] std::string_view to_string(StreamStrategy strategy);
[[nodiscard]] std::string_view to_string(WorkloadKind kind);

/// A job, as far as the choice of its stream is concerned.
struct Workload {
  WorkloadKind kind = WorkloadKind::mixed;
  StreamPriority priority = StreamPriority::normal;
  /// On the device; 0: as long as jobs of its kind took on average.
  std::chrono::nanoseconds expected{0};
};

/// What jobs placed by one strategy came to.
struct StrategyMeasure {
  std::uint64_t jobs = 0;
  std::chrono::nanoseconds mean_completion{0};  ///< from `shared` or `lease` to the job's end
};
using StrategyMeasures = std::array<StrategyMeasure, stream_strategies>;

/// What `AdvancedStreamPool::optimize_configuration` did.
struct StreamOptimization {
  StreamStrategy before{}, now{};
  bool is_settled = false;  ///< every strategy has been measured; else a trial goes on
  StrategyMeasures measures{};
  std::string reason;

  [[nodiscard]] bool switched() const { return before != now; }
};

}  // namespace aatgs
