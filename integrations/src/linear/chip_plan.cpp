// SPDX-License-Identifier: Apache-2.0
#include "chip_plan.hpp"

#include <algorithm>

namespace aatgs::linear {
namespace {

/// Rows of others that the rows `first .. last` refer to, ascending.
std::vector<std::uint32_t> ghosts_of(const CsrMatrix& matrix, std::uint32_t first,
                                     std::uint32_t last) {
  std::vector<std::uint32_t> ghosts;
  for (std::uint64_t at = matrix.offsets()[first]; at < matrix.offsets()[last]; ++at) {
    const std::uint32_t column = matrix.columns()[at];
    if (column < first || column >= last) ghosts.push_back(column);
  }
  std::sort(ghosts.begin(), ghosts.end());
  ghosts.erase(std::unique(ghosts.begin(), ghosts.end()), ghosts.end());
  return ghosts;
}

}  // namespace

std::optional<ChipPlan> plan_chip(const CsrMatrix& matrix, std::uint32_t lanes,
                                  std::span<const std::uint32_t> bounds,
                                  std::size_t scratch_bytes) {
  constexpr std::uint32_t most_columns = 1U << 16;  // they are coded in 16 bits
  const std::size_t parts = bounds.size() - 1;
  if (matrix.entry_count() * 10 > parts * scratch_bytes) return std::nullopt;  // saves the work
  const std::uint32_t slice_rows = slice_entries / lanes;
  ChipPlan plan;
  for (std::size_t i = 0; i < parts; ++i) {
    ChipPart part{};
    part.first_row = std::min(bounds[i] * slice_rows, matrix.row_count());
    const std::uint32_t last = std::min(bounds[i + 1] * slice_rows, matrix.row_count());
    part.rows = last - part.first_row;
    part.slices = bounds[i + 1] - bounds[i];
    const std::vector<std::uint32_t> ghosts = ghosts_of(matrix, part.first_row, last);
    part.first_ghost = static_cast<std::uint32_t>(plan.ghosts.size());
    part.ghosts = static_cast<std::uint32_t>(ghosts.size());
    part.first_slice = static_cast<std::uint32_t>(plan.rows.offsets.size());
    part.first_group = plan.rows.values.size() / slice_entries;
    for (std::uint32_t s = 0; s < part.slices; ++s) {
      part.groups += slice_groups(matrix, part.first_row + s * slice_rows, lanes);
    }
    if (part.bytes() > scratch_bytes || part.rows + part.ghosts > most_columns) return std::nullopt;
    const auto code = [&](std::uint32_t, std::uint32_t column) {
      const std::uint32_t own = column - part.first_row;
      if (column >= part.first_row && own < part.rows) return static_cast<std::uint16_t>(own);
      const auto ghost = std::lower_bound(ghosts.begin(), ghosts.end(), column) - ghosts.begin();
      return static_cast<std::uint16_t>(part.rows + static_cast<std::uint32_t>(ghost));
    };
    plan.rows.append(matrix, lanes, part.first_row, last, code,
                     [](std::uint32_t) { return std::uint16_t{0}; });
    plan.ghosts.insert(plan.ghosts.end(), ghosts.begin(), ghosts.end());
    plan.scratch_bytes = std::max(plan.scratch_bytes, part.bytes());
    plan.parts.push_back(part);
  }
  return plan;
}

}  // namespace aatgs::linear
