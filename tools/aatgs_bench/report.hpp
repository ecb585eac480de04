// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "samples.hpp"

namespace aatgs::bench {

/// The road that all others are compared with.
inline constexpr const char* our_road = "resident";
/// The closed loop of that road with a step that writes memory; apart from the comparison, since
/// the others' steps do not.
inline constexpr const char* writing_group = "closed_writing";

/// Ours too, whichever of the others it comes to.
inline constexpr const char* automatic_road = "automatic";

/// Tells the person who waits that these figures are left out, since the GPU, or the code as
/// compiled, has no programmatic dependent launch.
void note_no_dependent_launch(const std::string& names);

/// All that one run measured.
class Report {
 public:
  std::string machine;
  std::string driver;
  std::string date;      ///< ISO 8601, UTC
  std::string settings;  ///< what of the command line bears on the figures
  std::vector<Figure> figures;
  std::map<std::string, double> checks;  ///< ratios that the project aims at, by name

  /// Adds a figure, or another round of one, and tells the person who waits. Throws Error if it has
  /// no samples.
  void add(const Figure& figure);
  /// Median of the case of this name; empty if it was not measured.
  [[nodiscard]] std::optional<double> median(const std::string& name) const;
  /// The whole figure; null if it was not measured.
  [[nodiscard]] const Figure* find(const std::string& name) const;
  /// The fastest of the roads that stand beside one of ours, not counting `automatic`; null if
  /// there are none.
  [[nodiscard]] const Figure* best_other(const Case& ours) const;

 private:
  struct Rounds {
    std::size_t at;  ///< in `figures`
    std::vector<Figure> all;
  };
  std::map<std::string, Rounds> rounds_;  ///< by name
};

/// Tables for a person: the figures, the roads only as ours against the best other, the checks.
std::string to_table(const Report& report);
/// A versioned JSON document.
std::string to_json(const Report& report);

}  // namespace aatgs::bench
