// SPDX-License-Identifier: Apache-2.0
// Replicas of a coloring that wander at one temperature, and the choice of the best of several such
// phases: written once for blocks of a GPU and for host threads.
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/coloring/graph.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace pipeline_phases {

using aatgs::coloring::Color;
using aatgs::coloring::counter_hash;
using aatgs::coloring::Vertex;

/// All replicas of one phase, in memory that the device reaches. Trivially copyable.
struct Replicas {
  static constexpr std::uint32_t steepest = 8;  ///< so many conflicts more are never accepted

  const std::uint32_t* offsets;  ///< of the graph, [vertices + 1]
  const Vertex* neighbors;
  Color* coloring;           ///< [2][count][vertices]: each sweep reads one half, writes the other
  std::uint32_t* conflicts;  ///< [count], of the last sweep
  std::uint32_t vertices, count, colors, sweeps;
  std::uint64_t seed;
  std::uint32_t accept[steepest];  ///< the chance of so many conflicts more, in 2^-32

  AATGS_HOST_DEVICE Color* half(std::uint32_t sweep, std::uint32_t replica) const {
    return coloring + (std::size_t{sweep % 2} * count + replica) * vertices;
  }
};

/// The coloring with the fewest conflicts of these phases is to be copied to `best`.
struct Choice {
  static constexpr std::uint32_t phases = 4;
  Replicas of[phases];
  Color* best;               ///< [vertices]
  std::uint32_t* conflicts;  ///< of `best`
};

AATGS_HOST_DEVICE inline std::uint32_t conflicts_at(const Replicas& r, const Color* coloring,
                                                    Vertex v, Color color) {
  std::uint32_t conflicts = 0;
  for (std::uint32_t i = r.offsets[v]; i < r.offsets[v + 1]; ++i) {
    conflicts += coloring[r.neighbors[i]] == color ? 1 : 0;
  }
  return conflicts;
}

/// Metropolis' rule with a vertex's neighbors as they were; only one in eight of the vertices may
/// change, since those that all change at once would only change places.
AATGS_HOST_DEVICE inline Color next_color(const Replicas& r, const Color* from, Vertex v,
                                          std::uint64_t random) {
  const Color old = from[v];
  if ((random & 7) != 0) return old;
  const auto wanted = static_cast<Color>(((random >> 3 & 0x1FFFFFFF) * r.colors) >> 29);
  const std::uint32_t now = conflicts_at(r, from, v, old);
  const std::uint32_t then = conflicts_at(r, from, v, wanted);
  if (then <= now) return wanted;
  const std::uint32_t more = then - now;
  return more < Replicas::steepest && random >> 32 < r.accept[more] ? wanted : old;
}

/// One replica from a random coloring on. `Team`: threads with rank, size, sync and add.
template <class Team>
AATGS_HOST_DEVICE void search_replica(const Team& team, const Replicas& r, std::uint32_t replica) {
  const std::uint64_t own = counter_hash(r.seed, replica);
  for (Vertex v = team.rank(); v < r.vertices; v += team.size()) {
    r.half(0, replica)[v] = static_cast<Color>(counter_hash(own, v) % r.colors);
  }
  if (team.rank() == 0) r.conflicts[replica] = 0;
  team.sync();
  for (std::uint32_t sweep = 0; sweep < r.sweeps; ++sweep) {
    const Color* from = r.half(sweep, replica);
    Color* to = r.half(sweep + 1, replica);
    const std::uint64_t random = counter_hash(own, std::uint64_t{sweep + 1} << 32);
    for (Vertex v = team.rank(); v < r.vertices; v += team.size()) {
      to[v] = next_color(r, from, v, counter_hash(random, v));
    }
    team.sync();
  }
  const Color* last = r.half(r.sweeps, replica);
  std::uint32_t ends = 0;
  for (Vertex v = team.rank(); v < r.vertices; v += team.size()) {
    ends += conflicts_at(r, last, v, last[v]);
  }
  team.add(r.conflicts[replica], ends);
}

/// Every thread looks for itself. Conflicts were counted at both ends.
template <class Team>
AATGS_HOST_DEVICE void choose(const Team& team, const Choice& choice) {
  std::uint32_t phase = 0, replica = 0;
  for (std::uint32_t p = 0; p < Choice::phases; ++p) {
    for (std::uint32_t i = 0; i < choice.of[p].count; ++i) {
      if (choice.of[p].conflicts[i] >= choice.of[phase].conflicts[replica]) continue;
      phase = p;
      replica = i;
    }
  }
  const Replicas& winner = choice.of[phase];
  for (Vertex v = team.rank(); v < winner.vertices; v += team.size()) {
    choice.best[v] = winner.half(winner.sweeps, replica)[v];
  }
  if (team.rank() == 0) *choice.conflicts = winner.conflicts[replica] / 2;
}

/// A host thread on its own.
struct HostTeam {
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t rank() const { return 0; }
  [[nodiscard]] AATGS_HOST_DEVICE std::uint32_t size() const { return 1; }
  AATGS_HOST_DEVICE void sync() const {}
  AATGS_HOST_DEVICE void add(std::uint32_t& sum, std::uint32_t value) const { sum += value; }
};

/// For a stream: launches a block for each replica, or runs them on the stream's host thread.
aatgs::StreamWork search_work(const Replicas& replicas);
aatgs::StreamWork choice_work(const Choice& choice);

}  // namespace pipeline_phases
