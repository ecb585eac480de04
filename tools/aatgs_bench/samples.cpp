// SPDX-License-Identifier: Apache-2.0
#include "samples.hpp"

#include <algorithm>
#include <utility>

namespace aatgs::bench {

Figure figure(std::string name, std::string what, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t percent) {
    return values.empty() ? 0.0 : values[std::min(values.size() - 1, values.size() * percent / 100)];
  };
  return {std::move(name), std::move(what), at(1), at(50), at(99), values.size()};
}

}  // namespace aatgs::bench
