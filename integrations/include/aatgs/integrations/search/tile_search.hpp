// SPDX-License-Identifier: Apache-2.0
// The search within one tile of a graph, by the first lanes of a block.
#pragma once

#include <aatgs/integrations/gpu_loops.hpp>
#include <aatgs/runtime/bits.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>
#include <utility>

namespace aatgs::search {

/// One tile in scratch.
struct alignas(16) TileRoom {
  static constexpr std::uint32_t vertices = 4096;
  static constexpr std::uint32_t offset_words = vertices + 4;
  static constexpr std::uint32_t near_edges = 12'288;  ///< so many are copied to scratch
  static constexpr std::uint32_t outside = 1U << 31;   ///< marks neighbours of other tiles

  std::uint32_t offsets[offset_words];
  /// A place within the tile, or a place in the whole graph and `outside`.
  std::uint32_t neighbours[near_edges];
  std::uint32_t keys[vertices];    ///< twice the distance, and 1 for vertices in the list
  std::uint32_t before[vertices];  ///< distances that were handed on
  std::uint16_t list[vertices];    ///< to be visited; as a ring
  std::uint32_t listed;            ///< entries of the list when a search begins
  std::uint32_t again;

  /// Word for vertices outside.
  struct Letter {
    std::uint32_t to;
    std::uint32_t distance;
  };
  static constexpr std::uint32_t most_letters = 1024;
  static constexpr std::uint32_t most_receivers = 16;
  static constexpr std::uint32_t nobody = ~0U;
  Letter letters[most_letters];
  std::uint32_t letter_count;                    ///< may go beyond: those were sent at once
  static constexpr std::uint32_t long_row = 64;  ///< edges of which one thread writes all letters
  static constexpr std::uint32_t most_long = 16;
  std::uint32_t long_rows[most_long];       ///< vertices with more, whose letters all write
  std::uint32_t long_count;                 ///< may go beyond: those were done by one thread
  std::uint32_t receivers[most_receivers];  ///< tiles that have got some, each once; or `nobody`
};

/// A word of scratch that the threads of a block share. Not an atomic_ref, whose operations nvcc
/// does not recognise as those on shared memory: they take twice as long. On the host a block has
/// one thread.
struct TileWord {
  std::uint32_t& word;

  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t load() const {
    return *static_cast<volatile std::uint32_t*>(&word);
  }
  AATGS_HOST_DEVICE std::uint32_t fetch_min(std::uint32_t value) const {
#if defined(__CUDA_ARCH__)
    return atomicMin_block(&word, value);
#else
    return std::exchange(word, value < word ? value : word);
#endif
  }
  AATGS_HOST_DEVICE std::uint32_t fetch_and(std::uint32_t value) const {
#if defined(__CUDA_ARCH__)
    return atomicAnd_block(&word, value);
#else
    return std::exchange(word, word & value);
#endif
  }
  AATGS_HOST_DEVICE std::uint32_t fetch_add(std::uint32_t value) const {
#if defined(__CUDA_ARCH__)
    return atomicAdd_block(&word, value);
#else
    return std::exchange(word, word + value);
#endif
  }
  /// The value before; `value` takes its place if that was `expected`.
  AATGS_HOST_DEVICE std::uint32_t replace(std::uint32_t expected, std::uint32_t value) const {
#if defined(__CUDA_ARCH__)
    return atomicCAS_block(&word, expected, value);
#else
    return std::exchange(word, word == expected ? value : word);
#endif
  }
};

#if defined(__CUDA_ARCH__)
inline constexpr std::uint32_t tile_lanes = 32;
#else
inline constexpr std::uint32_t tile_lanes = 1;
#endif

namespace detail {

/// Which lanes say so; what they wrote before can be read after it.
AATGS_HOST_DEVICE inline std::uint32_t tile_vote(bool says) {
#if defined(__CUDA_ARCH__)
  __syncwarp();
  return __ballot_sync(~0U, says);
#else
  return says ? 1 : 0;
#endif
}
/// Edges that a lane looks at together, so that its looks overlap.
inline constexpr std::uint32_t edges_at_once = 4;

/// Looks at edges `e` to `end` of vertex `v`, whose neighbours could have the key `next`. Sets
/// `found[k]` where a neighbour is nearer now and has to be put into the list.
AATGS_HOST_DEVICE inline void look_along(TileRoom& room, const std::uint32_t* edges,
                                         std::uint32_t v, std::uint32_t e, std::uint32_t end,
                                         std::uint32_t next, std::uint32_t* w, bool* found) {
  AATGS_UNROLL
  for (std::uint32_t k = 0; k < edges_at_once; ++k) {
    w[k] = e + k < end ? edges[e + k] : TileRoom::outside;
  }
  // Mostly it is near enough, and a load is cheaper than an update.
  AATGS_UNROLL
  for (std::uint32_t k = 0; k < edges_at_once; ++k) {
    found[k] = (w[k] & TileRoom::outside) == 0 && TileWord{room.keys[w[k]]}.load() > next;
  }
  // Without branches, so that they overlap: elsewhere a minimum that changes nothing.
  AATGS_UNROLL
  for (std::uint32_t k = 0; k < edges_at_once; ++k) {
    const std::uint32_t old =
        TileWord{room.keys[found[k] ? w[k] : v]}.fetch_min(found[k] ? next : ~0U);
    found[k] = found[k] && old > next && (old & 1) == 0;
  }
}

}  // namespace detail

/// Visits what is listed, first in first out, and what becomes nearer by that, until nothing does.
/// A vertex stands in the list at most once. By the block's first `tile_lanes` threads, each its
/// `lane`: a tile has few vertices at the same distance, and more threads would need barriers.
AATGS_HOST_DEVICE inline void settle_tile(TileRoom& room, const std::uint32_t* edges,
                                          std::uint32_t lane) {
  std::uint32_t head = 0;
  std::uint32_t tail = room.listed;
  while (head != tail) {
    const std::uint32_t count = tail - head < tile_lanes ? tail - head : tile_lanes;
    std::uint32_t v = 0;
    std::uint32_t e = 0;
    std::uint32_t end = 0;
    std::uint32_t next = 0;
    if (lane < count) {
      v = room.list[(head + lane) % TileRoom::vertices];
      next = (TileWord{room.keys[v]}.fetch_and(~1U) | 1) + 2;
      e = room.offsets[v];
      end = room.offsets[v + 1];
    }
    head += count;
    do {
      std::uint32_t w[detail::edges_at_once];
      bool found[detail::edges_at_once];
      detail::look_along(room, edges, v, e, end, next, w, found);
      AATGS_UNROLL
      for (std::uint32_t k = 0; k < detail::edges_at_once; ++k) {
        const std::uint32_t who = detail::tile_vote(found[k]);
        const std::uint32_t before = count_bits(who & ((1U << lane) - 1));
        if (found[k]) {
          room.list[(tail + before) % TileRoom::vertices] = static_cast<std::uint16_t>(w[k]);
        }
        tail += count_bits(who);
      }
      e += detail::edges_at_once;
    } while (detail::tile_vote(e < end) != 0);
  }
}

}  // namespace aatgs::search
