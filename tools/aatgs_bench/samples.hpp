// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace aatgs::bench {

/// What was measured, by which the report finds it again.
struct Case {
  std::string group;       ///< `floor`, `closed`, `fed4`, `fed16`, `fed64`, `known`, `sweep`, ...
  std::string step = {};   ///< `spin` or `stream`; empty where no step of a length is run
  std::string scope = {};  ///< `block` or `grid`
  std::optional<double> step_us = {};  ///< nominal length of the step
  std::string road;  ///< within the other labels: the road, the floor, the point of the sweep

  /// The labels with `/` between them: the key of the figure in the JSON.
  [[nodiscard]] std::string name() const;
};

/// Percentiles of one case.
struct Figure {
  Case of;
  std::string unit;  ///< `us` (of one config, where configs are run), `ns`, `M/s`, `GB/s`
  std::string what;  ///< one line for a person
  double p01 = 0;
  double p50 = 0;
  double p99 = 0;
  std::size_t samples = 0;
  /// Of a road that took turns with others: the time of the best of them over its own.
  std::optional<double> against_best = {};
};

/// Sorts `values` and reads their percentiles.
Figure figure(Case of, std::string unit, std::string what, std::vector<double> values);

/// Mean of the middle half: outliers do not bear on it, and it does not jump from one mode of the
/// samples to the other as a median does. At least one value.
double middle_mean(std::vector<double> values);

/// The figure of a case that was measured in several rounds: the median of each percentile, so that
/// a neighbour of the machine who was busy during one of them does not show. At least one.
Figure middle_of(const std::vector<Figure>& rounds);

}  // namespace aatgs::bench
