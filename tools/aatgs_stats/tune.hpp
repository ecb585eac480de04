// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "measurement.hpp"
#include "text.hpp"
#include "tuner.hpp"

namespace aatgs {

/// What is to be tuned, and how.
struct TunePlan {
  bool exhaustive = false;  ///< all sizes, otherwise those that the tuner asks for
  SlotLimits limits;
  std::vector<Setting> policies;  ///< each is tuned on its own; at least one
  std::uint32_t repeat = 1;       ///< runs of each setting, of which the fastest counts
  std::string workload;           ///< for the reader
};

/// What came of it.
struct TuneResult {
  TunePlan plan;
  std::vector<Measurement> runs;
  Measurement recommended;
  double fastest_per_second = 0;  ///< of all runs
};

/// Runs the workload over ring sizes and policies, with a line for each run in `progress`. Of
/// several policies it recommends the fastest, or the first of those within 2 % of it. Throws what
/// the runner throws, and `OptionError`.
TuneResult tune(const TunePlan& plan, const Runner& run, std::ostream& progress);

/// The report: all runs, the recommendation, and what to paste for it.
std::string show_tuning(const TuneResult& result, Format format);
/// Of a single run.
std::string show_run(const std::string& workload, const Measurement& run, Format format);

}  // namespace aatgs
