// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_strategy.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

namespace aatgs::detail {

/// What the strategies know of a stream.
struct StreamCandidate {
  bool is_available = true;
  StreamPriority priority{};
  std::size_t jobs = 0;
  std::chrono::nanoseconds pending{0};
  std::array<std::size_t, workload_kinds> kinds{};  ///< jobs by kind
};

struct StreamChoice {
  std::optional<std::size_t> stream;  ///< empty: none is available
  bool fits = false;                  ///< false: another stream would be better, if one can be made
};

/// `turn`: of round robin, and between equals.
StreamChoice choose_stream(StreamStrategy strategy, const Workload& job,
                           std::span<const StreamCandidate> streams, std::size_t turn);

/// What `optimize_configuration` should do, from measures alone.
StreamOptimization compare_strategies(StreamStrategy now, const StrategyMeasures& measures,
                                      std::uint64_t trial_jobs);

}  // namespace aatgs::detail
