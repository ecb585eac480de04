// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstdint>
#include <cstring>

namespace aatgs::coloring {

/// Neighboring lanes of a warp that work on one vertex together; on a CPU one thread is a team. All
/// threads of a warp make these calls together, and each learns of its own team.
template <std::uint32_t Lanes>
struct WhcrTeam {
#if defined(__CUDA_ARCH__)
  static constexpr std::uint32_t size = Lanes;
  AATGS_HOST_DEVICE static std::uint32_t rank() {
    return threadIdx.x % Lanes;
  }
  /// One bit for each of the team.
  AATGS_HOST_DEVICE static std::uint32_t ballot(bool flag) {
    const std::uint32_t warp = __ballot_sync(~0U, flag);
    return warp >> (threadIdx.x % 32 - rank()) & (~0U >> (32 - Lanes));
  }
  AATGS_HOST_DEVICE static std::uint32_t lowest_bit(std::uint32_t bits) {
    return __ffs(bits) - 1;
  }
  /// Of any thread of the warp, so that its teams stay in step.
  AATGS_HOST_DEVICE static bool any_in_warp(bool flag) {
    return __any_sync(~0U, flag) != 0;
  }
  /// Orders what the team did before what it does next.
  AATGS_HOST_DEVICE static void sync() {
    __syncwarp();
  }
  /// That of the team's values which none is `better_than`. T: whole words, trivially copyable.
  template <class T>
  AATGS_HOST_DEVICE static T best(T mine) {
    for (std::uint32_t distance = Lanes / 2; distance > 0; distance /= 2) {
      std::uint32_t words[sizeof(T) / 4];
      memcpy(words, &mine, sizeof(T));
      for (std::uint32_t& word : words) word = __shfl_xor_sync(~0U, word, distance);
      T other;
      memcpy(&other, words, sizeof(T));
      if (other.better_than(mine)) mine = other;
    }
    return mine;
  }
#else
  static constexpr std::uint32_t size = 1;
  AATGS_HOST_DEVICE static std::uint32_t rank() {
    return 0;
  }
  AATGS_HOST_DEVICE static std::uint32_t ballot(bool flag) {
    return flag ? 1 : 0;
  }
  AATGS_HOST_DEVICE static std::uint32_t lowest_bit(std::uint32_t) {
    return 0;
  }
  AATGS_HOST_DEVICE static bool any_in_warp(bool flag) {
    return flag;
  }
  AATGS_HOST_DEVICE static void sync() {}
  template <class T>
  AATGS_HOST_DEVICE static T best(T mine) {
    return mine;
  }
#endif
};

/// Calls `visit(v, true)` for the numbers v below `count` that `select(v)` picks, each by all lanes
/// of one team; a team that has none left is called with false while its warp goes on. Every thread
/// looks at one number at a time, and the numbers are spread over all teams.
template <class Team, class Group, class Select, class Visit>
AATGS_HOST_DEVICE void for_selected(const Group& group, std::uint32_t count, const Select& select,
                                    const Visit& visit) {
  const std::uint32_t team = group.rank() / Team::size;
  const std::uint32_t teams = group.size() / Team::size;
  const std::uint32_t even = (count + teams - 1) / teams;
  const std::uint32_t share = even < Team::size ? even : Team::size;
  for (std::uint32_t base = 0; base < count; base += share * teams) {
    const std::uint32_t first = base + team * share;
    const std::uint32_t mine = first + Team::rank();
    const bool looked_at = Team::rank() < share && mine < count;
    std::uint32_t selected = Team::ballot(looked_at && select(mine));
    for (; Team::any_in_warp(selected != 0); selected &= selected - 1) {
      visit(first + Team::lowest_bit(selected), selected != 0);
    }
  }
}

}  // namespace aatgs::coloring
