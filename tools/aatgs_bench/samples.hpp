// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace aatgs::bench {

/// Percentiles of one figure, in microseconds unless its name says otherwise.
struct Figure {
  std::string name;  ///< also the key in the JSON
  std::string what;  ///< one line for a person
  double p01 = 0;
  double p50 = 0;
  double p99 = 0;
  std::size_t samples = 0;
};

/// Sorts `values` and reads its percentiles.
Figure figure(std::string name, std::string what, std::vector<double> values);

}  // namespace aatgs::bench
