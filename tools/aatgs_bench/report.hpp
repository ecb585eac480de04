// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "samples.hpp"

namespace aatgs::bench {

/// All that one run measured.
struct Report {
  std::string machine;
  std::string driver;
  std::string date;  ///< ISO 8601, UTC
  std::vector<Figure> figures;
  std::map<std::string, double> checks;  ///< ratios that the project promises, by name

  /// Throws Error if there is none of this name.
  [[nodiscard]] const Figure& get(const std::string& name) const;
};

/// A table for a person: the figures, and how they stand to their floors.
std::string to_table(const Report& report);
/// A versioned JSON document.
std::string to_json(const Report& report);

}  // namespace aatgs::bench
