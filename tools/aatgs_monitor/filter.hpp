// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "where.hpp"

namespace aatgs::monitor {

/// Which records are wanted. The default is all.
struct Filter {
  std::vector<std::string> phases;  ///< empty: all
  std::int64_t since_unix_ns = std::numeric_limits<std::int64_t>::min();
  Where where;

  [[nodiscard]] bool passes(const Record& record) const {
    if (record.unix_ns < since_unix_ns) return false;
    if (!phases.empty() && std::find(phases.begin(), phases.end(), record.phase) == phases.end()) {
      return false;
    }
    return where.holds(record);
  }
};

}  // namespace aatgs::monitor
