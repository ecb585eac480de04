// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/search/tile_search.hpp>
#include <aatgs/integrations/search/vertex_tiles.hpp>
#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace aatgs::search {
namespace {

class Halving {
 public:
  Halving(std::span<const std::uint32_t> offsets, std::span<const std::uint32_t> neighbours,
          std::uint32_t tile)
      : offsets_(offsets),
        neighbours_(neighbours),
        tile_(tile),
        order_(offsets.size() - 1),
        walked_(order_.size()),
        part_(order_.size(), 0),
        seen_(order_.size(), 0) {
    std::iota(order_.begin(), order_.end(), 0U);
  }

  std::vector<std::uint32_t> order() && {
    std::vector<Range> open{{0, order_.size()}};
    while (!open.empty()) {
      const Range range = open.back();
      open.pop_back();
      const std::size_t tiles = (range.end - range.begin + tile_ - 1) / tile_;
      if (tiles < 2) continue;
      // The vertex that a first walk comes to last is an outermost one.
      walk(range, order_[range.begin]);
      walk(range, order_[range.end - 1]);
      const std::size_t middle = range.begin + tiles / 2 * tile_;
      ++parts_;
      for (std::size_t i = middle; i < range.end; ++i) part_[order_[i]] = parts_;
      open.push_back({range.begin, middle});
      open.push_back({middle, range.end});
    }
    return std::move(order_);
  }

 private:
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  /// Orders the vertices of a part breadth first from `source`, then from what is left.
  void walk(Range range, std::uint32_t source) {
    ++walks_;
    const std::uint32_t part = part_[source];
    std::size_t found = range.begin;
    std::size_t left = range.begin;
    const auto visit = [&](std::uint32_t v) {
      if (part_[v] != part || seen_[v] == walks_) return;
      seen_[v] = walks_;
      walked_[found++] = v;
    };
    visit(source);
    for (std::size_t next = range.begin; next < range.end; ++next) {
      while (next == found) visit(order_[left++]);
      const std::uint32_t v = walked_[next];
      for (std::uint32_t e = offsets_[v]; e < offsets_[v + std::size_t{1}]; ++e) {
        visit(neighbours_[e]);
      }
    }
    std::copy(walked_.begin() + static_cast<std::ptrdiff_t>(range.begin),
              walked_.begin() + static_cast<std::ptrdiff_t>(range.end),
              order_.begin() + static_cast<std::ptrdiff_t>(range.begin));
  }

  std::span<const std::uint32_t> offsets_;
  std::span<const std::uint32_t> neighbours_;
  std::uint32_t tile_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> walked_;
  std::vector<std::uint32_t> part_;  // by vertex
  std::vector<std::uint32_t> seen_;  // by vertex: the last walk that came to it
  std::uint32_t parts_ = 0;
  std::uint32_t walks_ = 0;
};

void check(std::span<const std::uint32_t> offsets, std::span<const std::uint32_t> neighbours) {
  const bool rows = offsets.size() >= 2 && offsets.front() == 0 &&
                    offsets.back() == neighbours.size() &&
                    std::is_sorted(offsets.begin(), offsets.end());
  const auto inside = [&](std::uint32_t v) { return v < offsets.size() - 1; };
  if (rows && std::all_of(neighbours.begin(), neighbours.end(), inside)) return;
  throw UseError("compressed rows of " + std::to_string(offsets.size()) + " offsets and " +
                 std::to_string(neighbours.size()) +
                 " neighbours are no graph: offsets go from 0 up to the number of neighbours, "
                 "which are vertices");
}

constexpr std::uint32_t tile = TileRoom::vertices;

void set_places(TiledGraph& graph, std::span<const std::uint32_t> order) {
  graph.places.resize(order.size());
  for (std::uint32_t place = 0; place < order.size(); ++place) graph.places[order[place]] = place;
}

/// In each tile those with neighbours outside come first. Sets `rims` and `places`.
std::vector<std::uint32_t> order_with_rims(std::span<const std::uint32_t> offsets,
                                           std::span<const std::uint32_t> neighbours,
                                           TiledGraph& graph) {
  std::vector<std::uint32_t> order = tile_order(offsets, neighbours, tile);
  set_places(graph, order);
  const auto leaves = [&](std::uint32_t v) {
    const auto row = neighbours.subspan(offsets[v], offsets[v + std::size_t{1}] - offsets[v]);
    return std::any_of(row.begin(), row.end(), [&](std::uint32_t w) {
      return graph.places[w] / tile != graph.places[v] / tile;
    });
  };
  for (std::size_t first = 0; first < order.size(); first += tile) {
    const auto begin = order.begin() + static_cast<std::ptrdiff_t>(first);
    const std::size_t count = std::min<std::size_t>(tile, order.size() - first);
    const auto inner =
        std::stable_partition(begin, begin + static_cast<std::ptrdiff_t>(count), leaves);
    graph.rims.push_back(static_cast<std::uint32_t>(inner - begin));
  }
  set_places(graph, order);
  return order;
}

}  // namespace

TiledGraph tiled_graph(std::span<const std::uint32_t> offsets,
                       std::span<const std::uint32_t> neighbours) {
  check(offsets, neighbours);
  TiledGraph graph;
  const std::vector<std::uint32_t> order = order_with_rims(offsets, neighbours, graph);
  for (std::size_t first = 0; first < order.size(); first += tile) {
    for (std::size_t place = first; place < first + TileRoom::offset_words; ++place) {
      graph.offsets.push_back(static_cast<std::uint32_t>(graph.neighbours.size()) -
                              graph.starts.back());
      if (place >= std::min<std::size_t>(first + tile, order.size())) continue;
      const std::uint32_t v = order[place];
      for (std::uint32_t e = offsets[v]; e < offsets[v + std::size_t{1}]; ++e) {
        const std::uint32_t other = graph.places[neighbours[e]];
        graph.neighbours.push_back(other / tile == first / tile ? other % tile
                                                                : other | TileRoom::outside);
      }
    }
    graph.neighbours.resize((graph.neighbours.size() + 3) / 4 * 4, TileRoom::outside);
    graph.starts.push_back(static_cast<std::uint32_t>(graph.neighbours.size()));
  }
  return graph;
}

std::vector<std::uint32_t> tile_order(std::span<const std::uint32_t> offsets,
                                      std::span<const std::uint32_t> neighbours,
                                      std::uint32_t tile) {
  return Halving(offsets, neighbours, tile).order();
}

}  // namespace aatgs::search
