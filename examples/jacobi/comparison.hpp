// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/stencil/poisson_jacobi.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace jacobi {

struct Settings {
  std::uint64_t iterations = 10'000;
  bool compare = false;  ///< with the roads that launch kernels
  int repetitions = 5;   ///< timed runs, after one that is checked
  aatgs::stencil::JacobiOptions options;
};

/// What one road came to.
struct Row {
  std::string road;
  double us = 0;  ///< of one iteration, median of the repetitions
  double residual = 0;
  bool same = true;  ///< the field is that of the first road, bit for bit
  std::string how;
};

struct Result {
  std::uint32_t n = 0;
  std::uint64_t iterations = 0;
  double first_residual = 0;  ///< of u = 0
  std::vector<Row> rows;
  std::vector<std::string> left_out;  ///< roads that the GPU does not have

  [[nodiscard]] const Row* find(const std::string& road) const;
  /// Best graph over the first road; 0 without a graph.
  [[nodiscard]] double ratio() const;
  /// Whether all fields are the same and the residual fell.
  [[nodiscard]] bool right() const;
};

/// Solves with the options' executor, checks against the host where that is quick, and against the
/// other roads if asked to.
Result run(std::uint32_t n, const Settings& settings);

std::string to_table(const Result& result);
std::string to_json(const std::vector<Result>& results);

}  // namespace jacobi
