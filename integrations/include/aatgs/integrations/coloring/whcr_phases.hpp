// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/coloring/haar_field.hpp>
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <aatgs/integrations/coloring/whcr_rules.hpp>
#include <aatgs/integrations/coloring/whcr_team.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::coloring {

/// What all threads know of the present iteration.
struct WhcrRound {
  std::int32_t conflicts;
  std::int32_t best_conflicts;
  std::uint32_t iteration;
  std::uint64_t stream;  ///< of random numbers
  bool coarse;           ///< details of the coarse levels count

  [[nodiscard]] AATGS_HOST_DEVICE std::uint64_t random(std::uint32_t vertex,
                                                       std::uint32_t color) const {
    return counter_hash(stream, std::uint64_t{vertex} << 16 | color);
  }
  /// Random bits of the vertex that no color uses.
  [[nodiscard]] AATGS_HOST_DEVICE std::uint64_t random(std::uint32_t vertex) const {
    return random(vertex, WhcrProblem::max_colors);
  }
};

/// The parts of a `WhcrStep`, see there; each is called by all threads of the group, with a `sync`
/// between one and the next.
template <class Group>
class WhcrPhases {
 public:
  AATGS_HOST_DEVICE WhcrPhases(Group& group, const WhcrSearch& search, const WhcrRules& rules)
      : group_(group), search_(search), rules_(rules) {}

  /// First of two parts of building everything from the coloring.
  AATGS_HOST_DEVICE void clear_tables(std::uint32_t nodes) const {
    const std::size_t cells = search_.row(search_.vertices);
    for (std::size_t i = group_.rank(); i < cells; i += group_.size()) {
      search_.gamma[i] = 0;
      search_.barred[i] = 0;
    }
    for (std::uint32_t i = group_.rank(); i < nodes; i += group_.size()) {
      search_.conflicts.mean[i] = 0;
    }
    if (group_.rank() == 0) *search_.state = {};
  }

  AATGS_HOST_DEVICE void count_conflicts() const {
    const auto all = [](std::uint32_t) { return true; };
    for_selected<Warp>(group_, search_.vertices, all, [&](std::uint32_t v, bool) {
      const std::uint32_t color = search_.coloring[v];
      const std::uint32_t end = search_.offsets[v + 1];
      for (std::uint32_t e = search_.offsets[v] + Warp::rank(); e < end; e += Warp::size) {
        const std::uint32_t u = search_.neighbors[e];
        atomic_add(search_.gamma[search_.row(v) + search_.coloring[u]], 1);
        if (search_.coloring[u] != color) continue;
        search_.conflicts.add(v, 1);
        if (u > v) atomic_add(search_.state->conflicts, 1);  // once for each edge
      }
    });
  }

  /// Returns the best of this thread's.
  AATGS_HOST_DEVICE std::uint64_t make_wishes(const WhcrRound& round) const {
    std::uint64_t best = 0;
    const auto in_conflict = [&](std::uint32_t v) {
      if (search_.gamma[search_.row(v) + search_.coloring[v]] != 0) return true;
      search_.wish[v] = 0;
      return false;
    };
    for_selected<Few>(group_, search_.vertices, in_conflict, [&](std::uint32_t v, bool there) {
      const Choice choice = Few::best(choice_of_lane(v, there, round));
      if (!there || Few::rank() != 0) return;
      const std::uint64_t wish = wish_of(v, choice, round);
      search_.wish[v] = wish;
      if (wish > best) best = wish;
    });
    return best;
  }

  AATGS_HOST_DEVICE void fulfill_wishes(const WhcrRound& round, std::uint64_t best) const {
    const auto may_move = [&](std::uint32_t v) {
      const std::uint64_t wish = search_.wish[v];
      return wish != 0 && (wish == best || WhcrWish::is_free(wish));
    };
    for_selected<Warp>(group_, search_.vertices, may_move, [&](std::uint32_t v, bool) {
      if (best_among_neighbors(v)) move(v, round);
    });
  }

 private:
  using Few = WhcrTeam<8>;    // for the colors of a vertex
  using Warp = WhcrTeam<32>;  // for its neighbors

  /// A color that a vertex may take.
  struct Choice {
    std::uint64_t hash;
    std::int32_t conflicts;  ///< that it would have then
    std::uint32_t color;

    [[nodiscard]] AATGS_HOST_DEVICE bool better_than(const Choice& other) const {
      if (conflicts != other.conflicts) return conflicts < other.conflicts;
      return hash != other.hash ? hash > other.hash : color < other.color;
    }
  };

  /// The best choice of this lane's share of the colors; none for a vertex that is not `there`.
  AATGS_HOST_DEVICE Choice choice_of_lane(std::uint32_t v, bool there,
                                          const WhcrRound& round) const {
    Choice best{0, INT32_MAX, search_.colors};
    if (!there) return best;
    const std::int32_t* gamma = search_.gamma + search_.row(v);
    const std::uint32_t* barred = search_.barred + search_.row(v);
    const std::uint32_t own_color = search_.coloring[v];
    // Fewer than this is a new best of the whole search.
    const std::int32_t aspired = gamma[own_color] - round.conflicts + round.best_conflicts;
    for (std::uint32_t c = Few::rank(); c < search_.colors; c += Few::size) {
      const bool allowed = barred[c] <= round.iteration || gamma[c] < aspired;
      if (!allowed || c == own_color || gamma[c] > best.conflicts) continue;
      const Choice choice{round.random(v, c), gamma[c], c};
      if (choice.better_than(best)) best = choice;
    }
    return best;
  }

  AATGS_HOST_DEVICE std::uint64_t wish_of(std::uint32_t v, const Choice& choice,
                                          const WhcrRound& round) const {
    if (choice.color == search_.colors) return 0;
    const std::int32_t own = search_.gamma[search_.row(v) + search_.coloring[v]];
    const std::int32_t gain = own - choice.conflicts;
    const bool free = gain > 0 || round.random(v) >> 40 < rules_.free_chance;
    const std::int32_t priority = gain * WhcrWish::gain_unit + belief(v, round.coarse);
    return WhcrWish::pack(priority, choice.hash >> 48, choice.color, free);
  }

  AATGS_HOST_DEVICE std::int32_t belief(std::uint32_t v, bool coarse) const {
    const HaarField& field = search_.conflicts;
    if (!coarse) return rules_.belief(field.detail(v), false, HaarField::one);
    std::int32_t above = 0;  // what the coarse levels see
    std::int32_t detail = 0;
    std::uint32_t node = field.parent[v];
    for (std::uint32_t level = 2; level < rules_.levels && field.parent[node] != node; ++level) {
      detail = field.detail(node);
      above += detail;
      node = field.parent[node];
    }
    return rules_.belief(above, detail > 0, HaarField::one);
  }

  /// Of equal wishes that of the greater vertex is the better one.
  AATGS_HOST_DEVICE bool best_among_neighbors(std::uint32_t v) const {
    constexpr std::uint32_t at_once = 4;  // so that their loads overlap
    const std::uint64_t wish = search_.wish[v];
    const std::uint32_t end = search_.offsets[v + 1];
    bool beaten = false;
    for (std::uint32_t e = search_.offsets[v]; e < end; e += at_once * Warp::size) {
      for (std::uint32_t i = 0; i < at_once; ++i) {
        const std::uint32_t mine = e + i * Warp::size + Warp::rank();
        if (mine >= end) break;
        const std::uint32_t u = search_.neighbors[mine];
        beaten = beaten || search_.wish[u] > wish || (search_.wish[u] == wish && u > v);
      }
      if (Warp::any_in_warp(beaten)) return false;
    }
    return true;
  }

  /// Only this warp touches the color and the rows of `v`: no neighbor moves. Rows of neighbors may
  /// be shared with other movers.
  AATGS_HOST_DEVICE void move(std::uint32_t v, const WhcrRound& round) const {
    const std::size_t row = search_.row(v);
    const std::uint32_t from = search_.coloring[v];
    const std::uint32_t to = WhcrWish::color(search_.wish[v]);
    const std::int32_t added = search_.gamma[row + to] - search_.gamma[row + from];
    const std::uint32_t tenure = rules_.tenure(round.conflicts, round.random(v) & 0xFFFFFF);
    // One place more than there are neighbors, for v itself: the walks up the hierarchy take
    // longest, so they are made side by side.
    const std::uint32_t end = search_.offsets[v + 1];
    for (std::uint32_t e = search_.offsets[v] + Warp::rank(); e <= end; e += Warp::size) {
      const std::uint32_t u = e < end ? search_.neighbors[e] : v;
      const std::int32_t change = e < end ? recolor_beside(u, from, to) : added;
      if (change != 0) search_.conflicts.add(u, change);
    }
    Warp::sync();  // all lanes have read the color
    if (Warp::rank() != 0) return;
    search_.coloring[v] = to;
    search_.barred[row + from] = round.iteration + 2 + tenure;
    atomic_add(search_.state->conflicts, added);
    atomic_add(search_.state->moves, 1);
    if (added > 0) atomic_add(search_.state->worsening, 1);
  }

  /// A neighbor of `u` changes its color. Returns the conflicts that `u` gains.
  AATGS_HOST_DEVICE std::int32_t recolor_beside(std::uint32_t u, std::uint32_t from,
                                                std::uint32_t to) const {
    std::int32_t* const gamma = search_.gamma + search_.row(u);
    atomic_add(gamma[from], -1);
    atomic_add(gamma[to], 1);
    const std::uint32_t color = search_.coloring[u];
    return (color == to ? 1 : 0) - (color == from ? 1 : 0);
  }

  Group& group_;
  const WhcrSearch& search_;
  const WhcrRules& rules_;
};

}  // namespace aatgs::coloring
