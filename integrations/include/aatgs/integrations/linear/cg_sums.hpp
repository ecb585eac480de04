// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/gpu_loops.hpp>
#include <aatgs/integrations/linear/cg_protocol.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace aatgs::linear {

/// Where a group adds up, with work of its own between the barrier and the result.
struct CgSumRoom {
  static constexpr std::uint32_t local_sums = 33;

  CgSums* shares;  ///< in memory, [blocks]; another set than the last time's
  CgSums* local;   ///< in scratch, [local_sums]
};

#if defined(__CUDACC__)
namespace detail {

__device__ inline CgSums sum_of_warp(CgSums sums) {
  AATGS_UNROLL
  for (int apart = 16; apart > 0; apart /= 2) {
    sums.first += __shfl_xor_sync(~0U, sums.first, apart);
    sums.second += __shfl_xor_sync(~0U, sums.second, apart);
  }
  return sums;
}

/// A warp's lanes add up what all blocks wrote; all their loads are under way at once.
__device__ inline CgSums sum_of_shares(const CgSums* shares, std::uint32_t blocks) {
  constexpr std::uint32_t batch = 5;  // 32 times so many are enough for most GPUs
  CgSums sums{};
  AATGS_NO_UNROLL
  for (std::uint32_t b = threadIdx.x; b < blocks; b += batch * 32) {
    CgSums held[batch];
    AATGS_UNROLL
    for (std::uint32_t k = 0; k < batch; ++k) {
      held[k] = b + k * 32 < blocks ? shares[b + k * 32] : CgSums{};
    }
    AATGS_UNROLL
    for (std::uint32_t k = 0; k < batch; ++k) sums = AddCgSums{}(sums, held[k]);
  }
  return sum_of_warp(sums);
}

}  // namespace detail
#endif

/// Every thread gets the sums over all threads, the same bits in all and in every run. As
/// `group.reduce`, at one grid barrier, but with less around it; and what `meanwhile()` asks of
/// memory comes together with the other blocks' shares: it is called when the barrier is passed.
template <class Group, class Meanwhile>
AATGS_HOST_DEVICE CgSums sum_over_group(Group& group, const CgSumRoom& room, CgSums mine,
                                        Meanwhile meanwhile) {
#if defined(__CUDA_ARCH__)
  const std::uint32_t warp = group.block_rank() / 32;
  const std::uint32_t lane = group.block_rank() % 32;
  CgSums& result = room.local[CgSumRoom::local_sums - 1];
  mine = detail::sum_of_warp(mine);
  if (lane == 0) room.local[warp] = mine;
  group.sync_block();
  if (warp == 0) {
    mine = lane < group.block_size() / 32 ? room.local[lane] : CgSums{};
    mine = detail::sum_of_warp(mine);
    if (lane == 0) room.shares[group.block_index()] = mine;
  }
  group.sync();
  meanwhile();
  if (warp == 0) {
    const CgSums all = detail::sum_of_shares(room.shares, group.block_count());
    if (lane == 0) result = all;
  }
  group.sync_block();
  return result;
#else
  room.shares[group.block_index()] = mine;  // one thread a block
  group.sync();
  meanwhile();
  CgSums all{};
  for (std::uint32_t b = 0; b < group.block_count(); ++b) all = AddCgSums{}(all, room.shares[b]);
  return all;
#endif
}

}  // namespace aatgs::linear
