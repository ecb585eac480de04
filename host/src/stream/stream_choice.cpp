// SPDX-License-Identifier: Apache-2.0
#include "stream_choice.hpp"

#include <cstdlib>
#include <string>

namespace aatgs {

std::string_view to_string(StreamStrategy strategy) {
  switch (strategy) {
    case StreamStrategy::round_robin:
      return "round robin";
    case StreamStrategy::load_balanced:
      return "load balanced";
    case StreamStrategy::priority:
      return "priority";
    case StreamStrategy::workload_aware:
      break;
  }
  return "workload aware";
}

std::string_view to_string(WorkloadKind kind) {
  switch (kind) {
    case WorkloadKind::compute:
      return "compute";
    case WorkloadKind::memory:
      return "memory";
    case WorkloadKind::mixed:
      return "mixed";
    case WorkloadKind::coordination:
      break;
  }
  return "coordination";
}

namespace detail {

namespace {

using Streams = std::span<const StreamCandidate>;

int distance(StreamPriority a, StreamPriority b) {
  return std::abs(static_cast<int>(a) - static_cast<int>(b));
}

bool has_only(const StreamCandidate& stream, WorkloadKind kind) {
  return stream.jobs == stream.kinds[static_cast<std::size_t>(kind)];
}

/// The available one that no other beats; the next in turn between equals.
template <class Beats>
std::optional<std::size_t> best(Streams streams, std::size_t turn, Beats beats) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const std::size_t here = (turn + i) % streams.size();
    if (!streams[here].is_available) continue;
    if (!found || beats(streams[here], streams[*found])) found = here;
  }
  return found;
}

bool has_less(const StreamCandidate& a, const StreamCandidate& b) {
  return a.pending != b.pending ? a.pending < b.pending : a.jobs < b.jobs;
}

std::string in_us(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(time).count()) +
         " us";
}

std::string name_of(std::size_t strategy) {
  return std::string(to_string(static_cast<StreamStrategy>(strategy)));
}

}  // namespace

StreamChoice choose_stream(StreamStrategy strategy, const Workload& job, Streams streams,
                           std::size_t turn) {
  StreamChoice choice;
  switch (strategy) {
    case StreamStrategy::round_robin:
      choice.stream = best(streams, turn, [](const auto&, const auto&) { return false; });
      choice.fits = true;
      break;
    case StreamStrategy::load_balanced:
      choice.stream = best(streams, turn, has_less);
      choice.fits = true;
      break;
    case StreamStrategy::priority:
      choice.stream = best(streams, turn, [&](const auto& a, const auto& b) {
        const int from_a = distance(a.priority, job.priority);
        const int from_b = distance(b.priority, job.priority);
        return from_a != from_b ? from_a < from_b : has_less(a, b);
      });
      choice.fits = choice.stream && streams[*choice.stream].priority == job.priority;
      break;
    case StreamStrategy::workload_aware:
      choice.stream = best(streams, turn, [&](const auto& a, const auto& b) {
        const bool suits_a = has_only(a, job.kind);
        return suits_a != has_only(b, job.kind) ? suits_a : has_less(a, b);
      });
      choice.fits = choice.stream && has_only(streams[*choice.stream], job.kind);
      break;
  }
  return choice;
}

StreamOptimization compare_strategies(StreamStrategy now, const StrategyMeasures& measures,
                                      std::uint64_t trial_jobs) {
  constexpr double worth_a_switch = 0.95;
  StreamOptimization result{now, now, false, measures, ""};
  const auto current = static_cast<std::size_t>(now);
  const auto is_known = [&](std::size_t i) { return measures[i].jobs >= trial_jobs; };
  if (!is_known(current)) {
    result.reason = name_of(current) +
                    " is being measured: " + std::to_string(measures[current].jobs) + " of " +
                    std::to_string(trial_jobs) + " jobs";
    return result;
  }
  std::size_t soonest = current;
  for (std::size_t i = 0; i < stream_strategies; ++i) {
    if (!is_known(i)) {
      result.now = static_cast<StreamStrategy>(i);
      result.reason = name_of(i) + " is tried next, for " + std::to_string(trial_jobs) + " jobs";
      return result;
    }
    if (measures[i].mean_completion < measures[soonest].mean_completion) soonest = i;
  }
  result.is_settled = true;
  const auto mean = [&](std::size_t i) { return measures[i].mean_completion; };
  const bool is_worth_it = static_cast<double>(mean(soonest).count()) <
                           worth_a_switch * static_cast<double>(mean(current).count());
  if (is_worth_it) result.now = static_cast<StreamStrategy>(soonest);
  const auto kept = static_cast<std::size_t>(result.now);
  result.reason =
      name_of(kept) + ": jobs were completed within " + in_us(mean(kept)) + " on average";
  for (std::size_t i = 0; i < stream_strategies; ++i) {
    if (i != kept) result.reason += ", by " + name_of(i) + " within " + in_us(mean(i));
  }
  return result;
}

}  // namespace detail

}  // namespace aatgs
