// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <cstdint>

namespace aatgs::stencil {

/// Left by a block that gave up on a neighbor. In mapped memory, which outlives the kernel.
struct TileHang {
  std::int32_t tile;
  std::int32_t neighbor;
  std::uint32_t found;
  std::uint32_t expected;  ///< 0: nobody gave up
};

/// What a solve on tiles works on.
template <class T>
struct TileMemory {
  TilePlan plan;
  T* field;  ///< begins and ends a slice in here
  T* spare[2];
  const T* source;       ///< h^2 f / 4
  std::uint32_t* flags;  ///< [tiles], `flag_stride` apart: exchanges that a tile has posted
  TileHang* hang;
  std::uint64_t deadline_ns;  ///< of a wait for a neighbor

  static constexpr std::int32_t flag_stride = 32;
};

}  // namespace aatgs::stencil
