// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/coloring/haar_field.hpp>
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <aatgs/integrations/coloring/whcr_rules.hpp>
#include <aatgs/runtime/kernel_telemetry.hpp>
#include <aatgs/runtime/platform.hpp>
#include <aatgs/runtime/runtime_config.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs::coloring {

/// Wavelet-hierarchical conflict repair: a slice of iterations that recolor vertices until no edge
/// has ends of one color. A tabu search (TabuCol: Hertz & de Werra, Computing 39, 1987) whose moves
/// are made in parallel wherever they do not touch. One iteration has two phases:
///
///   wish    Every vertex in conflict picks the color that leaves it fewest conflicts, equals at
///           random, no color it left a short while ago unless that gives a new best (tabu with
///           aspiration). Its priority is the stress the move would relieve (conflicts that go);
///           among equals the Haar details of the conflict field decide, then a hash.
///   move    The best wish is fulfilled. So is any other that is the best among its neighbors' if
///           it relieves stress, or by chance. Movers are thus never adjacent: what each thinks it
///           gains is exact, and only sums that neighbors share need atomics.
///
/// All randomness is hashed from (seed, search, iteration, vertex, color) and all sums are whole
/// numbers, so every executor, with any number of threads, makes the same moves.
///
/// What a config means:
///   iteration               number of this slice; it works on search `iteration % searches`. Two
///                           slices of one search must not be queued at the same time.
///   flags                   `warm_start`: go on with the tables. Without it, build them first from
///                           the coloring, which is needed once.
///   pre_smooth_iterations   first iterations of the slice: details of the coarse levels count,
///   more
///                           in a hotspot (a coarsest node above its partner)
///   post_smooth_iterations  iterations after those: details of the finest level count. The slice
///                           ends early at 0 conflicts, which leaves the legal coloring in place.
///   num_levels              levels of the hierarchy that count
///   stress_weight, belief_weight, hotspot_multiplier  weights of gain and of details
///   persistence_weight      iterations a color left is barred, per end of a conflict
///   exploration_rate        chance of a best-among-neighbors wish that relieves no stress
/// What telemetry means: conflicts, colors_used (k), moves_applied, tunneling_events (moves that
/// added conflicts), best_replica (the search), free_energy (fewest conflicts so far in this
/// search), padding[0] (iterations done in this slice).
struct WhcrStep {
  static constexpr unsigned block_threads = 256;

  WhcrProblem problem;

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const RuntimeConfig& config,
                                    KernelTelemetry& out) const {
    const std::uint32_t index = static_cast<std::uint32_t>(config.iteration) % problem.searches;
    const WhcrSearch search = problem.search(index);
    const WhcrRules rules(config);
    const bool warm = config.has(ConfigFlag::warm_start);
    if (!warm) build_tables(group, search);

    WhcrState& state = *search.state;
    Round round{state.conflicts, state.conflicts, 0, 0, false};
    if (warm) round.best_conflicts = state.best_conflicts;
    if (warm) round.iteration = state.iteration;
    group.sync();  // all have read the state before it changes
    if (group.rank() == 0) state.moves = state.worsening = 0;

    std::uint32_t done = 0;
    for (; done < rules.iterations && round.conflicts > 0; ++done, ++round.iteration) {
      round.stream = counter_hash(counter_hash(search.seed), round.iteration);
      round.coarse = done < rules.coarse_iterations;
      // The reduction is a barrier too: all wishes are there when it returns.
      const std::uint64_t best = group.max(make_wishes(group, search, rules, round));
      fulfill_wishes(group, search, rules, round, best);
      group.sync();
      round.conflicts = state.conflicts;
      if (round.conflicts < round.best_conflicts) round.best_conflicts = round.conflicts;
    }

    if (group.rank() == 0) {
      state.best_conflicts = round.best_conflicts;
      state.iteration = round.iteration;
      out = {};
      out.conflicts = round.conflicts;
      out.colors_used = static_cast<std::int32_t>(problem.colors);
      out.moves_applied = state.moves;
      out.tunneling_events = state.worsening;
      out.best_replica = static_cast<std::int32_t>(index);
      out.free_energy = static_cast<float>(round.best_conflicts);
      out.padding[0] = static_cast<float>(done);
    }
  }

 private:
  /// What all threads know of the present iteration.
  struct Round {
    std::int32_t conflicts;
    std::int32_t best_conflicts;
    std::uint32_t iteration;
    std::uint64_t stream;  ///< of random numbers
    bool coarse;
  };

  AATGS_HOST_DEVICE static std::uint64_t random(const Round& round, std::uint32_t vertex,
                                                std::uint32_t color) {
    return counter_hash(round.stream, std::uint64_t{vertex} << 16 | color);
  }

  template <class Group>
  AATGS_HOST_DEVICE void build_tables(Group& group, const WhcrSearch& search) const {
    for (std::uint32_t i = group.rank(); i < problem.nodes; i += group.size()) {
      search.conflicts.mean[i] = 0;
    }
    if (group.rank() == 0) *search.state = {};
    group.sync();
    for (std::uint32_t v = group.rank(); v < problem.vertices; v += group.size()) {
      const std::size_t row = std::size_t{v} * problem.colors;
      for (std::uint32_t c = 0; c < problem.colors; ++c) {
        search.gamma[row + c] = 0;
        search.barred[row + c] = 0;
      }
      std::int32_t conflicts = 0;  // each edge is counted at its lower end
      for (std::uint32_t e = problem.offsets[v]; e < problem.offsets[v + 1]; ++e) {
        const std::uint32_t u = problem.neighbors[e];
        ++search.gamma[row + search.coloring[u]];
        if (u > v && search.coloring[u] == search.coloring[v]) ++conflicts;
      }
      search.conflicts.add(v, search.gamma[row + search.coloring[v]]);
      atomic_add(search.state->conflicts, conflicts);
    }
    group.sync();
  }

  /// Returns the best of this thread's.
  template <class Group>
  AATGS_HOST_DEVICE std::uint64_t make_wishes(Group& group, const WhcrSearch& search,
                                              const WhcrRules& rules, const Round& round) const {
    std::uint64_t best = 0;
    for (std::uint32_t v = group.rank(); v < problem.vertices; v += group.size()) {
      const std::uint64_t wish = wish_of(v, search, rules, round);
      search.wish[v] = wish;
      if (wish > best) best = wish;
    }
    return best;
  }

  AATGS_HOST_DEVICE std::uint64_t wish_of(std::uint32_t v, const WhcrSearch& search,
                                          const WhcrRules& rules, const Round& round) const {
    const std::uint32_t own_color = search.coloring[v];
    const std::int32_t* gamma = search.gamma + std::size_t{v} * problem.colors;
    const std::uint32_t* barred = search.barred + std::size_t{v} * problem.colors;
    const std::int32_t own = gamma[own_color];
    if (own == 0) return 0;

    std::int32_t fewest = INT32_MAX;
    std::uint64_t best_hash = 0;
    std::uint32_t best_color = own_color;
    for (std::uint32_t c = 0; c < problem.colors; ++c) {
      if (gamma[c] > fewest || c == own_color) continue;
      const bool new_best = round.conflicts - (own - gamma[c]) < round.best_conflicts;
      if (barred[c] > round.iteration && !new_best) continue;
      const std::uint64_t hash = random(round, v, c);
      if (gamma[c] == fewest && hash <= best_hash) continue;
      fewest = gamma[c];
      best_hash = hash;
      best_color = c;
    }
    if (best_color == own_color) return 0;

    const std::int32_t gain = own - fewest;
    const std::uint64_t coin = random(round, v, problem.max_colors) >> 40;
    const bool free = gain > 0 || coin < rules.free_chance;
    const std::int32_t priority =
        gain * WhcrWish::gain_unit + belief(v, search.conflicts, rules, round.coarse);
    return WhcrWish::pack(priority, best_hash >> 48, best_color, free);
  }

  AATGS_HOST_DEVICE static std::int32_t belief(std::uint32_t v, const HaarField& field,
                                               const WhcrRules& rules, bool coarse) {
    if (!coarse) return rules.belief(field.detail(v), false, HaarField::one);
    std::int32_t above = 0;  // what the coarse levels see
    std::int32_t detail = 0;
    std::uint32_t node = field.parent[v];
    for (std::uint32_t level = 2; level < rules.levels && field.parent[node] != node; ++level) {
      detail = field.detail(node);
      above += detail;
      node = field.parent[node];
    }
    return rules.belief(above, detail > 0, HaarField::one);
  }

  template <class Group>
  AATGS_HOST_DEVICE void fulfill_wishes(Group& group, const WhcrSearch& search,
                                        const WhcrRules& rules, const Round& round,
                                        std::uint64_t best) const {
    for (std::uint32_t v = group.rank(); v < problem.vertices; v += group.size()) {
      const std::uint64_t wish = search.wish[v];
      if (wish == 0 || (wish != best && !WhcrWish::is_free(wish))) continue;
      if (best_among_neighbors(v, search.wish)) move(v, search, rules, round);
    }
  }

  AATGS_HOST_DEVICE bool best_among_neighbors(std::uint32_t v, const std::uint64_t* wish) const {
    for (std::uint32_t e = problem.offsets[v]; e < problem.offsets[v + 1]; ++e) {
      const std::uint32_t u = problem.neighbors[e];
      if (wish[u] > wish[v] || (wish[u] == wish[v] && u > v)) return false;
    }
    return true;
  }

  /// Only this thread touches the color and the rows of `v`: no neighbor moves. Rows of neighbors
  /// may be shared with other movers.
  AATGS_HOST_DEVICE void move(std::uint32_t v, const WhcrSearch& search, const WhcrRules& rules,
                              const Round& round) const {
    const std::size_t row = std::size_t{v} * problem.colors;
    const std::uint32_t from = search.coloring[v];
    const std::uint32_t to = WhcrWish::color(search.wish[v]);
    const std::int32_t added = search.gamma[row + to] - search.gamma[row + from];
    search.coloring[v] = to;
    search.barred[row + from] =
        round.iteration + 2 +
        rules.tenure(round.conflicts, random(round, v, problem.max_colors) & 0xFFFFFF);

    search.conflicts.add(v, added);
    for (std::uint32_t e = problem.offsets[v]; e < problem.offsets[v + 1]; ++e) {
      const std::uint32_t u = problem.neighbors[e];
      std::int32_t* gamma = search.gamma + std::size_t{u} * problem.colors;
      atomic_add(gamma[from], -1);
      atomic_add(gamma[to], 1);
      if (search.coloring[u] == from) search.conflicts.add(u, -1);
      if (search.coloring[u] == to) search.conflicts.add(u, 1);
    }
    atomic_add(search.state->conflicts, added);
    atomic_add(search.state->moves, 1);
    if (added > 0) atomic_add(search.state->worsening, 1);
  }
};

}  // namespace aatgs::coloring
