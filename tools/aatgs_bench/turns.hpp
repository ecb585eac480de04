// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/host_clock.hpp>
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// Two things that differ by little, measured in turns.
struct Turns {
  std::vector<double> plain, watched;  ///< the time of each run
  std::vector<double> ratios;          ///< watched over plain, one of each round
};

/// Runs `run(false)` and `run(true)`, which return a time in any unit, for about `share` times the
/// plan's time per figure and at least 20 rounds (5 in a quick plan) of four: plain watched watched
/// plain, then the other way round. So what drifts or comes first bears on both alike, and the
/// median of the ratios does not see a disturbed round.
template <class Run>
Turns in_turns(const Plan& plan, double share, const Run& run) {
  const auto least_rounds = static_cast<std::size_t>(std::max(5.0, 400 * plan.seconds));
  Turns turns;
  (void)run(false);
  (void)run(true);
  const std::uint64_t begin = host_now_ns();
  for (bool first = false; turns.ratios.size() < least_rounds ||
                           static_cast<double>(host_now_ns() - begin) < share * plan.seconds * 1e9;
       first = !first) {
    double sums[2] = {0, 0};
    for (const bool watched : {first, !first, !first, first}) {
      const double time = run(watched);
      (watched ? turns.watched : turns.plain).push_back(time);
      sums[watched ? 1 : 0] += time;
    }
    turns.ratios.push_back(sums[1] / sums[0]);
  }
  return turns;
}

/// Adds `watch/NAME`, the ratios, and the times themselves in `us` as `watch/NAME_off` and `_on`.
inline void add_turns(Report& report, const std::string& name, const std::string& what,
                      Turns turns) {
  const auto of = [&](const char* end) { return Case{.group = "watch", .road = name + end}; };
  report.add(figure(of("_off"), "us", what + ": without", std::move(turns.plain)));
  report.add(figure(of("_on"), "us", what + ": with", std::move(turns.watched)));
  report.add(figure(of(""), "ratio", what + ": with over without, of rounds of four runs in turns",
                    std::move(turns.ratios)));
}

}  // namespace aatgs::bench
