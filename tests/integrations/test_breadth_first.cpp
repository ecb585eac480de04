// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_scheduler.hpp>
#include <aatgs/integrations/search/breadth_first.hpp>
#include <deque>
#include <random>

namespace aatgs::search {
namespace {

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

Rows mesh(std::uint32_t side) {
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
Rows scale_free(std::uint32_t vertices) {
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
Rows star(std::uint32_t rays) {
  std::vector<std::vector<std::uint32_t>> lists(2 * rays + 1);
  for (std::uint32_t near = 1; near <= rays; ++near) {
    lists[0].push_back(near);
    lists[near] = {0, near + rays};
    lists[near + rays] = {near};
  }
  return Rows::of(lists);
}

SchedulerOptions on_cpu(std::uint32_t spawn_slots) {
  SchedulerOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.context.cpu_threads = 3;
  options.most_tasks = 16;
  options.spawn_slots = spawn_slots;
  return options;
}

TEST_CASE("breadth first: a vertex is missed, or keeps a distance that is not the least") {
  for (const Rows& rows : {mesh(60), scale_free(5000), star(9000), Rows::of({{}})}) {
    BreadthFirst search(rows.offsets, rows.neighbours, MemoryKind::host);
    auto scheduler = make_cpu_scheduler(search.steps(), on_cpu(1 << 14));
    for (const std::uint32_t source : {0U, static_cast<std::uint32_t>(rows.offsets.size() / 3)}) {
      CAPTURE(source);
      auto graph = scheduler->prepare(BreadthFirst::graph(source));
      search.start(source);
      REQUIRE(scheduler->run(graph).all_completed());
      CHECK(search.distances() == rows.reference(source));
    }
  }
}

TEST_CASE("breadth first: a search without room for its tasks passes as done") {
  const Rows rows = scale_free(3000);
  BreadthFirst search(rows.offsets, rows.neighbours, MemoryKind::host);
  auto scheduler = make_cpu_scheduler(search.steps(), on_cpu(2));
  auto graph = scheduler->prepare(BreadthFirst::graph(0));
  search.start(0);
  const GraphReport report = scheduler->run(graph);
  CHECK_FALSE(report.all_completed());
  CHECK(report.summary.failed > 0);
  CHECK(report.summary.refused > 0);
}

TEST_CASE("breadth first: rows that are no graph are read beyond their ends") {
  using List = std::vector<std::uint32_t>;
  const auto make = [](const List& offsets, const List& neighbours) {
    return BreadthFirst(offsets, neighbours, MemoryKind::host);
  };
  CHECK_THROWS_AS(make({}, {}), UseError);
  CHECK_THROWS_AS(make({0}, {}), UseError);
  CHECK_THROWS_AS(make({0, 2, 1}, {0}), UseError);
  CHECK_THROWS_AS(make({0, 1}, {1}), UseError);
  CHECK_THROWS_AS(make({0, 1}, {0, 0}), UseError);
  CHECK_THROWS_WITH_AS(make({0, 1}, {0}).start(1), doctest::Contains("vertex 1"), UseError);
}

}  // namespace
}  // namespace aatgs::search
