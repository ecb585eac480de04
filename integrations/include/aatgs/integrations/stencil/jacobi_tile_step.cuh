// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/stencil/jacobi_rule.hpp>
#include <aatgs/integrations/stencil/tile_memory.hpp>
#include <aatgs/integrations/stencil/tile_patch.cuh>
#include <aatgs/integrations/stencil/tile_plan.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace aatgs::stencil {

/// Jacobi iterations on overlapped tiles: the same iterates as one at a time, bit for bit.
///
/// `TilePlace::chip`: a block loads its tile once a slice. Every `depth` iterations it writes the
/// rim of the tile to memory, posts a flag, waits for the flags of up to eight neighbors and reads
/// their rims. Rims alternate between two fields: a block that is one exchange ahead must not
/// overwrite what a slower neighbor still reads, and it cannot be two ahead.
///
/// `TilePlace::memory`: blocks go over all tiles, `depth` iterations each, from one field to the
/// other, with a barrier of the grid between two rounds.
template <class T, class Shape, TilePlace place>
struct JacobiTileStep {
  static constexpr bool device_only = true;
  static constexpr unsigned block_threads = Shape::threads;

  TileMemory<T> memory;

  [[nodiscard]] std::size_t scratch_bytes() const { return Shape::scratch_packs * sizeof(Packed); }

  template <class Group>
  __device__ void operator()(Group& group, const JacobiSlice& slice, JacobiProgress& out) const {
    if constexpr (is_one_block<Group>) {
      group.fail(static_cast<std::uint32_t>(JacobiFailure::not_a_grid));
    } else {
      if (place == TilePlace::chip &&
          group.block_count() < static_cast<std::uint32_t>(memory.plan.tiles())) {
        group.fail(static_cast<std::uint32_t>(JacobiFailure::too_few_blocks));
        return;
      }
      T change = 0;
      Patch patch(memory.plan, group.template scratch<Packed>());
      group.sync_block();
      if constexpr (place == TilePlace::chip) {
        on_chip(group, patch, slice.iterations, change);
      } else {
        through_memory(group, patch, slice.iterations, change);
      }
      change = group.max(change);
      if (group.rank() == 0) out.largest_change = static_cast<double>(change);
    }
  }

 private:
  using Patch = TilePatch<T, Shape>;
  using Packed = typename Patch::Packed;

  /// The kernel of `Scope::block` is compiled for every step; here it need not do anything.
  template <class Group>
  static constexpr bool is_one_block = requires {
    typename std::integral_constant<std::uint32_t, Group::block_count()>;
  };

  template <class Group>
  __device__ void on_chip(Group& group, Patch& patch, std::uint32_t iterations, T& change) const {
    const TilePlan& plan = memory.plan;
    const auto depth = static_cast<std::uint32_t>(plan.depth);
    const auto tile = static_cast<std::int32_t>(group.block_index());
    const bool works = tile < plan.tiles();
    if (works) {
      patch.place(plan.tile(tile));
      patch.load_source(memory.source);
      patch.load(memory.field);
      patch.publish_edges();
      finish_copies();
    }
    // Without an exchange nothing else would keep a fast block from storing what another loads.
    if (iterations <= depth) group.sync();
    if (!works) return;
    std::uint32_t posted = look(flag_of(tile));
    for (std::uint32_t left = iterations;; left -= depth) {
      const bool last = left <= depth;
      run(group, patch, last ? left : depth, last, change);
      if (last) break;
      exchange(group, patch, tile, ++posted);
    }
    patch.store_own(memory.field);
  }

  template <class Group>
  __device__ void through_memory(Group& group, Patch& patch, std::uint32_t iterations,
                                 T& change) const {
    const TilePlan& plan = memory.plan;
    const auto depth = static_cast<std::uint64_t>(plan.depth);
    // An even number of rounds, so that the result comes to lie where the field was.
    const std::uint64_t rounds = 2 * ((iterations + 2 * depth - 1) / (2 * depth));
    const auto stride = static_cast<std::int32_t>(group.block_count());
    for (std::uint64_t round = 0; round < rounds; ++round) {
      const bool back = round % 2 != 0;
      const T* from = back ? memory.spare[0] : memory.field;
      T* to = back ? memory.field : memory.spare[0];
      const std::uint64_t length = iterations * (round + 1) / rounds - iterations * round / rounds;
      for (auto tile = static_cast<std::int32_t>(group.block_index()); tile < plan.tiles();
           tile += stride) {
        patch.place(plan.tile(tile));
        patch.load_source(memory.source);
        patch.load(from);
        if (tile + stride < plan.tiles()) announce_tile(plan.tile(tile + stride), from);
        patch.publish_edges();
        finish_copies();
        run(group, patch, static_cast<std::uint32_t>(length), round + 1 == rounds, change);
        patch.store_own(to);
      }
      group.sync();
    }
  }

  /// Iterations; with `last` the change of the last one is measured.
  template <class Group>
  __device__ void run(Group& group, Patch& patch, std::uint32_t count, bool last, T& change) const {
    const std::uint32_t plain = last ? count - 1 : count;
#pragma unroll 1
    for (std::uint32_t i = 0; i < plain; ++i) {
      group.sync_block();
      patch.template iterate<false>(change);
    }
    if (last) {
      group.sync_block();
      patch.template iterate<true>(change);
    }
  }

  template <class Group>
  __device__ void exchange(Group& group, Patch& patch, std::int32_t tile,
                           std::uint32_t posted) const {
    T* rims = memory.spare[posted % 2];
    patch.store_rim(rims);
    group.sync_block();
    const unsigned thread = threadIdx.x;
    if (thread == 0) post(flag_of(tile), posted);
    constexpr unsigned second_warp = 32;
    if (thread >= second_warp && thread < second_warp + 8) {
      const std::int32_t neighbor =
          memory.plan.neighbor(tile, static_cast<std::int32_t>(thread - second_warp));
      if (neighbor >= 0) await(tile, neighbor, posted);
    }
    group.sync_block();
    patch.load_halo(rims);
    patch.publish_edges();
  }

  __device__ void await(std::int32_t tile, std::int32_t neighbor, std::uint32_t expected) const {
    const std::uint32_t* flag = flag_of(neighbor);
    const std::uint64_t begin = device::timer_ns();
    for (std::uint32_t polls = 1;; ++polls) {
      const std::uint32_t found = look(flag);
      if (static_cast<std::int32_t>(found - expected) >= 0) return;
      if (polls % 1024 != 0 || device::timer_ns() - begin <= memory.deadline_ns) continue;
      // To go on with a stale halo would give wrong results, to wait on would wedge the GPU.
      *memory.hang = {tile, neighbor, found, expected};
      __threadfence_system();
      __trap();
    }
  }

  [[nodiscard]] __device__ std::uint32_t* flag_of(std::int32_t tile) const {
    return memory.flags + tile * TileMemory<T>::flag_stride;
  }

  /// The next tile's rows begin their way from memory while this one is worked on.
  __device__ void announce_tile(const Tile& tile, const T* field) const {
    for (unsigned row = threadIdx.x; row < Shape::rows * Shape::warps; row += Shape::threads) {
      const std::ptrdiff_t at =
          memory.plan.layout.at(tile.x, tile.y + static_cast<std::int32_t>(row));
      constexpr auto bytes = static_cast<std::uint32_t>(32 * Shape::columns * sizeof(T));
      announce(field + at, bytes);
      announce(memory.source + at, bytes);
    }
  }
};

}  // namespace aatgs::stencil
