// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/graph.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace aatgs::coloring {

/// Most levels of a hierarchy, the finest included: as many halvings as `HaarField` does exactly.
inline constexpr std::uint32_t max_hierarchy_levels = 13;

/// Coarser and coarser views of a graph by heavy-edge matching (Karypis & Kumar, "A fast and high
/// quality multilevel scheme for partitioning irregular graphs", SIAM J. Sci. Comput. 20, 1998).
///
/// Nodes of all levels are numbered in one row: level 0 holds the vertices of the graph, then come
/// the nodes of level 1, and so on. A node of level l + 1 stands for a matched pair of level l, or
/// for one node that found no partner. Immutable, so threads may share it.
class MatchingHierarchy {
 public:
  /// At most `levels` levels; fewer where nothing is left to match. The same graph always gives the
  /// same hierarchy. Throws OptionError unless 1 <= levels <= max_hierarchy_levels.
  MatchingHierarchy(const Graph& graph, std::uint32_t levels);

  [[nodiscard]] std::uint32_t level_count() const noexcept {
    return static_cast<std::uint32_t>(level_begin_.size() - 1);
  }
  [[nodiscard]] std::uint32_t node_count() const noexcept { return level_begin_.back(); }

  /// `level_count() + 1` node numbers: level l is `[level_begin()[l], level_begin()[l + 1])`.
  [[nodiscard]] std::span<const std::uint32_t> level_begin() const noexcept { return level_begin_; }

  /// [node_count()]: the node one level up. Nodes of the last level are their own parents.
  [[nodiscard]] std::span<const std::uint32_t> parent() const noexcept { return parent_; }

  /// [node_count()]: 1 where the node shares its parent with a partner, else 0.
  [[nodiscard]] std::span<const std::uint8_t> paired() const noexcept { return paired_; }

  /// [node_count()]: vertices of the graph that the node stands for.
  [[nodiscard]] std::span<const std::uint32_t> mass() const noexcept { return mass_; }

 private:
  std::vector<std::uint32_t> level_begin_;
  std::vector<std::uint32_t> parent_;
  std::vector<std::uint8_t> paired_;
  std::vector<std::uint32_t> mass_;
};

}  // namespace aatgs::coloring
