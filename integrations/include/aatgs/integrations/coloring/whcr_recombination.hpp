// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/coloring/haar_field.hpp>
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs::coloring {

/// Lets others see the coloring of a search that works on, in `shown` [n]. All threads call it.
template <class Group>
AATGS_HOST_DEVICE void show_coloring(const Group& group, const WhcrSearch& search,
                                     std::uint32_t* shown) {
  for (std::uint32_t v = group.rank(); v < search.vertices; v += group.size()) {
    cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device>(shown[v]).store(
        search.coloring[v], cuda::memory_order_relaxed);
  }
}

/// Recombines the coloring of a search with one that another shows, into a child that the search
/// goes on with: in turns the largest color class that is left of one parent becomes a class of
/// the child, until all colors are used; vertices left over take random ones (the greedy partition
/// crossover of Galinier & Hao, J. Comb. Optim. 3, 1999). The other may show a new coloring
/// meanwhile: a mixture serves as well.
///
/// Leaves gamma, barred and wish in disorder: build the tables anew. n >= 2.
template <class Group>
class WhcrRecombination {
 public:
  AATGS_HOST_DEVICE WhcrRecombination(Group& group, const WhcrSearch& search)
      : group_(group), search_(search), sizes_(search.gamma), other_(search.barred) {}

  /// All threads call it, and see the child when it returns. Equal `random` gives an equal child.
  AATGS_HOST_DEVICE void run(std::uint32_t* shown, std::uint64_t random) const {
    take_parents(shown);
    group_.sync();
    each_vertex([&](std::uint32_t v) { resize_classes_of(v, 1); });
    group_.sync();
    for (std::uint32_t color = 0; color < search_.colors; ++color) {
      const bool from_other = (color + random) % 2 != 0;
      inherit(from_other, largest_class(from_other), color);
      group_.sync();
    }
    each_vertex([&](std::uint32_t v) {
      const std::uint64_t child = search_.wish[v];
      const std::uint64_t any = counter_hash(random, v) % search_.colors;
      search_.coloring[v] = static_cast<std::uint32_t>(child != 0 ? child - 1 : any);
    });
    group_.sync();
  }

 private:
  template <class Visit>
  AATGS_HOST_DEVICE void each_vertex(const Visit& visit) const {
    for (std::uint32_t v = group_.rank(); v < search_.vertices; v += group_.size()) visit(v);
  }

  AATGS_HOST_DEVICE void take_parents(std::uint32_t* shown) const {
    const std::uint32_t last = search_.colors - 1;
    each_vertex([&](std::uint32_t v) {
      const auto color = cuda::atomic_ref<std::uint32_t, cuda::thread_scope_device>(shown[v]).load(
          cuda::memory_order_relaxed);
      other_[v] = color < last ? color : last;
      search_.wish[v] = 0;  // no color yet, else color + 1
    });
    for (std::uint32_t i = group_.rank(); i < 2 * search_.colors; i += group_.size()) sizes_[i] = 0;
  }

  AATGS_HOST_DEVICE void resize_classes_of(std::uint32_t v, std::int32_t change) const {
    atomic_add(sizes_[search_.coloring[v]], change);
    atomic_add(sizes_[search_.colors + other_[v]], change);
  }

  AATGS_HOST_DEVICE std::uint32_t largest_class(bool of_other) const {
    const std::int32_t* const sizes = sizes_ + (of_other ? search_.colors : 0);
    std::uint64_t best = 0;
    for (std::uint32_t c = group_.rank(); c < search_.colors; c += group_.size()) {
      const std::uint64_t mine = static_cast<std::uint64_t>(sizes[c]) << 32 | c;
      if (mine > best) best = mine;
    }
    return static_cast<std::uint32_t>(group_.max(best));
  }

  AATGS_HOST_DEVICE void inherit(bool from_other, std::uint32_t its_class,
                                 std::uint32_t color) const {
    const std::uint32_t* const parent = from_other ? other_ : search_.coloring;
    each_vertex([&](std::uint32_t v) {
      if (search_.wish[v] != 0 || parent[v] != its_class) return;
      search_.wish[v] = std::uint64_t{color} + 1;
      resize_classes_of(v, -1);
    });
  }

  Group& group_;
  const WhcrSearch& search_;
  std::int32_t* sizes_;   ///< [2][k], vertices without a color in each class of either parent
  std::uint32_t* other_;  ///< [n], the other parent
};

}  // namespace aatgs::coloring
