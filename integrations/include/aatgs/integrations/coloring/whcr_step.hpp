// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/coloring/scratch_copy.hpp>
#include <aatgs/integrations/coloring/whcr_phases.hpp>
#include <aatgs/integrations/coloring/whcr_problem.hpp>
#include <aatgs/integrations/coloring/whcr_recombination.hpp>
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
/// On a GPU eight lanes share the colors of a vertex and a warp its neighbors, and a search that
/// fits is worked on in the block's scratch: read once and written back once in a slice.
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
///   flags                   `quantum`, where the problem has `shown`: recombine the coloring with
///                           that of search `num_quantum_states` first, which must have ended a
///                           slice, and build the tables anew; see whcr_recombination.hpp. It is
///                           only then that the moves depend on how far other searches are.
/// What telemetry means: conflicts, colors_used (k), moves_applied, tunneling_events (moves that
/// added conflicts), best_replica (the search), free_energy (fewest conflicts since the tables
/// of this search were built), padding[0] (iterations done in this slice).
struct WhcrStep {
  static constexpr unsigned block_threads = 256;

  WhcrProblem problem;

  [[nodiscard]] std::size_t scratch_bytes() const {
    return problem.in_scratch ? problem.scratch_bytes() : 0;
  }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const RuntimeConfig& config,
                                    KernelTelemetry& out) const {
    const std::uint32_t index = static_cast<std::uint32_t>(config.iteration) % problem.searches;
    if constexpr (may_be_one_block<Group>()) {
      if (problem.in_scratch) return run_in_scratch(group, index, config, out);
    }
    run_slice(group, problem.search(index), index, config, out);
  }

 private:
  /// False for a grid, whose kernels would carry the copies without ever making one.
  template <class Group>
  static constexpr bool may_be_one_block() {
#if defined(__CUDA_ARCH__)
    return requires {
      Group::block_count();
    };  // a constant
#else
    return true;
#endif
  }

  template <class Group>
  AATGS_HOST_DEVICE void run_in_scratch(Group& group, std::uint32_t index,
                                        const RuntimeConfig& config, KernelTelemetry& out) const {
    std::byte* const copy = group.template scratch<std::byte>();
    const WhcrSearch search = problem.search_in(copy, index);
    begin_copy_in(group, copy, problem.tables_of(index), problem.kept_bytes());
    begin_copy_in(group, const_cast<std::uint32_t*>(search.conflicts.parent), problem.parent,
                  problem.nodes * sizeof(std::uint32_t));
    begin_copy_in(group, const_cast<std::uint8_t*>(search.conflicts.paired), problem.paired,
                  problem.nodes);
    begin_copy_in(group, const_cast<std::uint32_t*>(search.offsets), problem.offsets,
                  (problem.vertices + std::size_t{1}) * sizeof(std::uint32_t));
    end_copy_in(group);
    run_slice(group, search, index, config, out);
    group.sync_block();
    copy_out(group, problem.tables_of(index), copy, problem.kept_bytes());
  }

  /// Whether searches show their colorings. A grid has one search, and its kernels would need many
  /// more registers for the code.
  template <class Group>
  [[nodiscard]] AATGS_HOST_DEVICE bool shows() const {
    return may_be_one_block<Group>() && problem.shown != nullptr;
  }

  template <class Group>
  AATGS_HOST_DEVICE void recombine(Group& group, const WhcrSearch& search,
                                   const RuntimeConfig& config, std::uint64_t random) const {
    const auto other = static_cast<std::uint32_t>(config.num_quantum_states) % problem.searches;
    WhcrRecombination<Group>(group, search).run(problem.shown_by(other), random);
  }

  template <class Group>
  AATGS_HOST_DEVICE void run_slice(Group& group, const WhcrSearch& search, std::uint32_t index,
                                   const RuntimeConfig& config, KernelTelemetry& out) const {
    const WhcrRules rules(config);
    const WhcrPhases<Group> phases(group, search, rules);
    const bool warm = config.has(ConfigFlag::warm_start);
    const bool recombined =
        shows<Group>() && warm && problem.vertices > 1 && config.has(ConfigFlag::quantum);
    const std::uint64_t stream = counter_hash(search.seed);
    const std::uint32_t begun = warm ? search.state->iteration : 0;
    if (recombined) recombine(group, search, config, counter_hash(stream, begun));
    const bool rebuilt = !warm || recombined;
    if (rebuilt) {
      phases.clear_tables(problem.nodes);
      group.sync();
      phases.count_conflicts();
      group.sync();
    }
    WhcrState& state = *search.state;
    WhcrRound round{state.conflicts, state.conflicts, begun, 0, false};
    if (!rebuilt) round.best_conflicts = state.best_conflicts;
    if (group.rank() == 0) state.moves = state.worsening = 0;

    std::uint32_t done = 0;
    for (; done < rules.iterations && round.conflicts > 0; ++done, ++round.iteration) {
      round.stream = counter_hash(stream, round.iteration);
      round.coarse = done < rules.coarse_iterations;
      // The reduction is a barrier too: all wishes are there when it returns.
      const std::uint64_t best = group.max(phases.make_wishes(round));
      phases.fulfill_wishes(round, best);
      group.sync();
      round.conflicts = state.conflicts;
      if (round.conflicts < round.best_conflicts) round.best_conflicts = round.conflicts;
    }

    if (shows<Group>()) show_coloring(group, search, problem.shown_by(index));
    if (group.rank() == 0) {
      if (done > 0 || rebuilt) {  // in other cases another thread may still read them
        state.best_conflicts = round.best_conflicts;
        state.iteration = round.iteration;
      }
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
};

}  // namespace aatgs::coloring
