// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/matching_hierarchy.hpp>
#include <algorithm>
#include <numeric>
#include <string>

namespace aatgs::coloring {
namespace {

constexpr std::uint32_t no_node = ~std::uint32_t{0};

struct Link {
  std::uint32_t to;
  std::uint32_t weight;  ///< edges of the finest graph that it stands for
};

/// One level while the next is made from it; nodes are numbered from 0 here.
struct Level {
  std::vector<std::uint32_t> begin;  ///< [nodes + 1], into links
  std::vector<Link> links;
  std::vector<std::uint32_t> mass;

  [[nodiscard]] std::uint32_t nodes() const { return static_cast<std::uint32_t>(mass.size()); }
  [[nodiscard]] std::span<const Link> of(std::uint32_t node) const {
    return std::span(links).subspan(begin[node], begin[node + std::size_t{1}] - begin[node]);
  }
};

struct Matching {
  std::vector<std::uint32_t> coarse;  ///< [nodes]: number of the node one level up
  std::uint32_t coarse_nodes = 0;
};

Level finest(const Graph& graph) {
  Level level;
  level.begin.assign(graph.offsets().begin(), graph.offsets().end());
  for (const Vertex u : graph.neighbors()) level.links.push_back({u, 1});
  level.mass.assign(graph.vertex_count(), 1);
  return level;
}

/// The free neighbor with the heaviest link; of equals the lightest, so that masses stay even.
std::uint32_t partner(const Level& level, const Matching& matching, std::uint32_t node) {
  const Link* best = nullptr;
  for (const Link& link : level.of(node)) {
    if (matching.coarse[link.to] != no_node) continue;
    const bool better = best == nullptr || link.weight > best->weight ||
                        (link.weight == best->weight && level.mass[link.to] < level.mass[best->to]);
    if (better) best = &link;
  }
  return best == nullptr ? no_node : best->to;
}

Matching match(const Level& level) {
  // Nodes with few neighbors choose first: they have the fewest chances.
  std::vector<std::uint32_t> order(level.nodes());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return level.of(a).size() < level.of(b).size();
  });

  Matching matching{std::vector(level.nodes(), no_node)};
  for (const std::uint32_t node : order) {
    if (matching.coarse[node] != no_node) continue;
    matching.coarse[node] = matching.coarse_nodes++;
    const std::uint32_t mate = partner(level, matching, node);
    if (mate != no_node) matching.coarse[mate] = matching.coarse[node];
  }
  return matching;
}

/// Pairs become nodes: masses and the weights of parallel links add up, inner links vanish.
Level contract(const Level& fine, const Matching& matching) {
  Level coarse;
  coarse.mass.assign(matching.coarse_nodes, 0);
  std::vector<std::vector<std::uint32_t>> members(matching.coarse_nodes);
  for (std::uint32_t node = 0; node < fine.nodes(); ++node) {
    coarse.mass[matching.coarse[node]] += fine.mass[node];
    members[matching.coarse[node]].push_back(node);
  }

  std::vector<std::size_t> place(matching.coarse_nodes);  // of the link to a node, where seen now
  std::vector<std::uint32_t> seen_by(matching.coarse_nodes, no_node);
  coarse.begin.push_back(0);
  for (std::uint32_t from = 0; from < matching.coarse_nodes; ++from) {
    for (const std::uint32_t member : members[from]) {
      for (const Link& link : fine.of(member)) {
        const std::uint32_t to = matching.coarse[link.to];
        if (to == from) continue;
        if (seen_by[to] != from) {
          seen_by[to] = from;
          place[to] = coarse.links.size();
          coarse.links.push_back({to, 0});
        }
        coarse.links[place[to]].weight += link.weight;
      }
    }
    coarse.begin.push_back(static_cast<std::uint32_t>(coarse.links.size()));
  }
  return coarse;
}

}  // namespace

MatchingHierarchy::MatchingHierarchy(const Graph& graph, std::uint32_t levels) {
  if (levels < 1 || levels > max_hierarchy_levels) {
    throw OptionError("the levels of a matching hierarchy must be in 1.." +
                      std::to_string(max_hierarchy_levels) + ", not " + std::to_string(levels));
  }
  level_begin_ = {0, graph.vertex_count()};
  mass_.assign(graph.vertex_count(), 1);
  Level level = finest(graph);
  while (level_count() < levels) {
    const Matching matching = match(level);
    if (matching.coarse_nodes == level.nodes()) break;

    std::vector<std::uint32_t> members(matching.coarse_nodes, 0);
    for (const std::uint32_t coarse : matching.coarse) ++members[coarse];
    for (const std::uint32_t coarse : matching.coarse) {
      parent_.push_back(node_count() + coarse);
      paired_.push_back(members[coarse] == 2 ? 1 : 0);
    }
    level = contract(level, matching);
    mass_.insert(mass_.end(), level.mass.begin(), level.mass.end());
    level_begin_.push_back(node_count() + level.nodes());
  }
  while (parent_.size() < node_count()) {
    parent_.push_back(static_cast<std::uint32_t>(parent_.size()));
    paired_.push_back(0);
  }
}

}  // namespace aatgs::coloring
