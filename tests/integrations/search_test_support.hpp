// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/search/breadth_first.hpp>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

namespace aatgs::search::test {

/// A graph.
struct Rows {
  std::vector<std::uint32_t> offsets{0};
  std::vector<std::uint32_t> neighbours;

  static Rows of(const std::vector<std::vector<std::uint32_t>>& lists) {
    Rows rows;
    for (const auto& list : lists) {
      rows.neighbours.insert(rows.neighbours.end(), list.begin(), list.end());
      rows.offsets.push_back(static_cast<std::uint32_t>(rows.neighbours.size()));
    }
    return rows;
  }

  [[nodiscard]] std::vector<std::uint32_t> reference(std::uint32_t source) const {
    std::vector<std::uint32_t> distances(offsets.size() - 1, unreached);
    std::deque<std::uint32_t> queue{source};
    distances[source] = 0;
    for (; !queue.empty(); queue.pop_front()) {
      const std::uint32_t v = queue.front();
      for (std::uint32_t e = offsets[v]; e < offsets[v + 1]; ++e) {
        std::uint32_t& distance = distances[neighbours[e]];
        if (distance != unreached) continue;
        distance = distances[v] + 1;
        queue.push_back(neighbours[e]);
      }
    }
    return distances;
  }
};

inline Rows mesh(std::uint32_t side) {
  std::vector<std::vector<std::uint32_t>> lists(side * side);
  for (std::uint32_t v = 0; v < side * side; ++v) {
    if (v % side != 0) lists[v].push_back(v - 1);
    if (v % side != side - 1) lists[v].push_back(v + 1);
    if (v >= side) lists[v].push_back(v - side);
    if (v + side < side * side) lists[v].push_back(v + side);
  }
  return Rows::of(lists);
}

/// Each new vertex is tied to ends of earlier edges, so that few have very many neighbours
/// (A.-L. Barabasi, R. Albert, Science 1999). The last one is on its own.
inline Rows scale_free(std::uint32_t vertices) {
  std::mt19937 random(5);
  std::vector<std::vector<std::uint32_t>> lists(vertices + 1);
  std::vector<std::uint32_t> ends{0};
  for (std::uint32_t v = 1; v < vertices; ++v) {
    for (int i = 0; i < 3; ++i) {
      const std::uint32_t w = ends[random() % ends.size()];
      lists[v].push_back(w);
      lists[w].push_back(v);
      ends.push_back(w);
    }
    ends.push_back(v);
  }
  return Rows::of(lists);
}

/// One vertex in the middle of more than a task can note, and behind each of those another one.
inline Rows star(std::uint32_t rays) {
  std::vector<std::vector<std::uint32_t>> lists(2 * rays + 1);
  for (std::uint32_t near = 1; near <= rays; ++near) {
    lists[0].push_back(near);
    lists[near] = {0, near + rays};
    lists[near + rays] = {near};
  }
  return Rows::of(lists);
}

/// A mesh with holes, and vertices on their own: ways have detours and tiles are crooked.
inline Rows holed_mesh(std::uint32_t side) {
  std::mt19937 random(7);
  std::vector<std::vector<std::uint32_t>> lists(side * side);
  const auto join = [&](std::uint32_t v, std::uint32_t w) {
    if (random() % 100 >= 62) return;
    lists[v].push_back(w);
    lists[w].push_back(v);
  };
  for (std::uint32_t v = 0; v < side * side; ++v) {
    if (v % side != side - 1) join(v, v + 1);
    if (v + side < side * side) join(v, v + side);
  }
  return Rows::of(lists);
}

}  // namespace aatgs::search::test
