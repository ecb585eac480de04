// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/sparse_triangular.hpp>
#include <cstdint>
#include <vector>

namespace aatgs::linear {

/// A triangle as it is eliminated: row r reads only rows before it. Entries over the diagonal, with
/// the sign turned; in each row those of the lowest level first.
struct Elimination {
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint32_t> rows_read;
  std::vector<double> factors;
  std::vector<double> scales;  ///< 1 / diagonal
  std::vector<std::uint32_t> levels;
  std::uint32_t level_count = 0;
  bool reversed = false;

  [[nodiscard]] std::uint32_t rows() const { return static_cast<std::uint32_t>(scales.size()); }
};

/// Throws `InputError`, see `SparseTriangular`.
Elimination eliminate(const TriangularFactor& factor);

/// What a factor is cut up for.
struct TriangularShape {
  std::uint32_t parts;
  std::size_t scratch_bytes;  ///< of a block
  std::uint32_t chunk_rows;   ///< 0: choose
};

/// The arrays of a `TriangularView`.
struct TriangularPlan {
  std::vector<TriangularChunk> chunks;
  std::vector<std::uint32_t> externals;
  std::vector<std::uint32_t> metas;
  std::vector<double> scales;
  std::vector<std::uint32_t> codes;
  std::vector<double> factors;
  std::vector<std::uint32_t> early_begin{0};
  std::vector<std::uint32_t> early_codes;
  std::vector<double> early_factors;
  std::size_t scratch_bytes = 0;
  std::uint32_t width = 2;
  std::uint32_t chunk_rows = 0;
  bool has_far = false;
};

/// Throws `OptionError` if a block's scratch has no room for a row.
TriangularPlan plan_triangular(const Elimination& triangle, const TriangularShape& shape);

}  // namespace aatgs::linear
