// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "parts.hpp"

namespace aatgs::soak {

/// All that one soak came to.
struct Report {
  std::string machine;
  std::string driver;
  std::string date;     ///< ISO 8601, UTC
  std::string options;  ///< the command line
  std::string executor;
  std::uint64_t seed = 0;
  std::vector<PartResult> parts;

  [[nodiscard]] std::uint64_t errors() const;
};

/// A table for a person; the first error of each part in words.
std::string to_table(const Report& report);
/// A versioned JSON document.
std::string to_json(const Report& report);

}  // namespace aatgs::soak
