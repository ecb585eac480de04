// SPDX-License-Identifier: Apache-2.0
// Searches by tasks that spawn each other, on the GPU.
#include <doctest/doctest.h>

#include <aatgs/host/make_scheduler.cuh>
#include <aatgs/integrations/search/breadth_first.hpp>

#include "../brief.hpp"
#include "../integrations/search_test_support.hpp"

namespace aatgs::search::test {
namespace {

SchedulerOptions on_gpu(std::uint32_t spawn_slots) {
  SchedulerOptions options;
  options.context.executor = ExecutorKind::resident;
  options.most_tasks = 16;
  options.spawn_slots = spawn_slots;
  return options;
}

/// Several searches with one scheduler.
template <class Search>
void search_all(const Rows& rows, Search& search, std::uint32_t spawn_slots) {
  auto scheduler = make_scheduler(search.steps(), on_gpu(spawn_slots));
  for (const std::uint32_t source : {0U, static_cast<std::uint32_t>(rows.offsets.size() / 3)}) {
    CAPTURE(source);
    auto graph = scheduler->prepare(search.graph(source));
    search.start(source);
    REQUIRE(scheduler->run(graph).all_completed());
    CHECK(search.distances() == rows.reference(source));
  }
}

std::vector<Rows> graphs() {
  if (aatgs::test::brief_or(true, false)) return {holed_mesh(100), star(3000)};
  return {mesh(200), holed_mesh(400), scale_free(30'000), star(9000), Rows::of({{}})};
}

TEST_CASE("breadth first: a vertex is missed, or keeps a distance that is not the least") {
  for (const Rows& rows : graphs()) {
    BreadthFirst search(rows.offsets, rows.neighbours, MemoryKind::device);
    search_all(rows, search, search.spawn_slots());
  }
}

}  // namespace
}  // namespace aatgs::search::test
