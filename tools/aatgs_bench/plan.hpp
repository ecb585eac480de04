// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <regex>
#include <string>
#include <vector>

namespace aatgs::bench {

/// What to measure, and for how long.
struct Plan {
  ContextOptions context;       ///< of our own roads
  std::regex only{""};          ///< names that contain a match are measured
  std::string dimacs;           ///< folder of DIMACS graphs; may be empty
  double seconds = 0.05;        ///< of sampling for one figure, in all rounds
  int rounds = 1;               ///< in which floors, sweeps and roads are measured
  std::vector<double> spin_us;  ///< step lengths
  std::vector<double> stream_us;

  [[nodiscard]] bool wants(const std::string& name) const { return std::regex_search(name, only); }
};

}  // namespace aatgs::bench
