// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/linear/cg_chip_step.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "slicing.hpp"

namespace aatgs::linear {

/// How a matrix is cut up for `CgChipStep`.
struct ChipPlan {
  std::vector<ChipPart> parts;
  std::vector<std::uint32_t> ghosts;
  SlicedArrays<std::uint16_t> rows;
  std::size_t scratch_bytes = 0;
};

/// Nothing if a part does not fit `scratch_bytes`. `bounds` are of `share_slices`.
std::optional<ChipPlan> plan_chip(const CsrMatrix& matrix, std::uint32_t lanes,
                                  std::span<const std::uint32_t> bounds, std::size_t scratch_bytes);

}  // namespace aatgs::linear
