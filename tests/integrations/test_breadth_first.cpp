// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_scheduler.hpp>
#include <aatgs/integrations/search/breadth_first.hpp>
#include <algorithm>

#include "search_test_support.hpp"

namespace aatgs::search::test {
namespace {

SchedulerOptions on_cpu(std::uint32_t spawn_slots) {
  SchedulerOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.context.cpu_threads = 3;
  options.most_tasks = 16;
  options.spawn_slots = spawn_slots;
  return options;
}

TEST_CASE("breadth first: a search without room for its tasks passes as done") {
  const Rows rows = star(9000);
  BreadthFirst search(rows.offsets, rows.neighbours, MemoryKind::host);
  auto scheduler = make_cpu_scheduler(search.steps(), on_cpu(2));
  auto graph = scheduler->prepare(search.graph(0));
  search.start(0);
  const GraphReport report = scheduler->run(graph);
  CHECK_FALSE(report.all_completed());
  CHECK(report.summary.failed > 0);
  CHECK(report.summary.refused > 0);
}

TEST_CASE("breadth first: a vertex is missed, or keeps a distance that is not the least") {
  for (const Rows& rows :
       {mesh(150), holed_mesh(120), scale_free(5000), star(9000), Rows::of({{}})}) {
    BreadthFirst search(rows.offsets, rows.neighbours, MemoryKind::host);
    auto scheduler = make_cpu_scheduler(search.steps(), on_cpu(1 << 10));
    for (const std::uint32_t source : {0U, static_cast<std::uint32_t>(rows.offsets.size() / 3)}) {
      CAPTURE(source);
      auto graph = scheduler->prepare(search.graph(source));
      for (int run = 0; run < 3; ++run) {
        search.start(source);
        REQUIRE(scheduler->run(graph).all_completed());
        CHECK(search.distances() == rows.reference(source));
      }
    }
  }
}

TEST_CASE("breadth first: tiles lose vertices, or lie scattered over the graph") {
  const Rows rows = mesh(128);
  std::vector<std::uint32_t> order = tile_order(rows.offsets, rows.neighbours, 1024);
  std::vector<std::uint32_t> tiles(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) tiles[order[i]] = i / 1024;
  std::uint32_t cut = 0;
  for (std::uint32_t v = 0; v < order.size(); ++v) {
    for (std::uint32_t e = rows.offsets[v]; e < rows.offsets[v + 1]; ++e) {
      cut += tiles[v] != tiles[rows.neighbours[e]] ? 1 : 0;
    }
  }
  CHECK(cut < 3000);  // tiles of 32 x 32 would have 2 x 2 x 3 x 128
  std::sort(order.begin(), order.end());
  for (std::uint32_t v = 0; v < order.size(); ++v) REQUIRE(order[v] == v);
}

TEST_CASE("breadth first: a source that is no vertex is searched from") {
  const Rows rows = mesh(3);
  BreadthFirst search(rows.offsets, rows.neighbours, MemoryKind::host);
  CHECK_THROWS_WITH_AS(search.start(9), doctest::Contains("vertex 9"), UseError);
  CHECK_THROWS_WITH_AS(search.graph(9), doctest::Contains("vertex 9"), UseError);
  const std::vector<std::uint32_t> offsets{0, 1};
  const std::vector<std::uint32_t> outside{1};
  CHECK_THROWS_AS(BreadthFirst(offsets, outside, MemoryKind::host), UseError);
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
}  // namespace aatgs::search::test
