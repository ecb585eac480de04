// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/make_scheduler.cuh>
#include <aatgs/integrations/search/breadth_first.hpp>
#include <utility>
#include <vector>

#include "bfs.hpp"
#include "bfs_levels.cuh"

namespace aatgs::bench {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s;

class Comparison {
 public:
  Comparison(const Plan& plan, Report& report)
      : plan_(plan),
        report_(report),
        what_("a search of " + std::to_string(mesh_.levels) + " levels on " +
              std::to_string(mesh_side * mesh_side) + " vertices, ") {}

  void run() {
    const int device = plan_.context.device;
    if (wants(our_road)) {
      search::BreadthFirst search(mesh_.offsets, mesh_.neighbours, MemoryKind::device, device);
      by_scheduler(our_road, "tasks of 4096 vertices that spawn each other", search,
                   search.graph(mesh_.source), 1, search.spawn_slots());
    }
    levels();
  }

 private:
  [[nodiscard]] static Case of(const std::string& road) {
    return {.group = "bfs_mesh", .road = road};
  }
  [[nodiscard]] bool wants(const std::string& road) const { return plan_.wants(of(road).name()); }

  void require(const std::string& road, const std::vector<std::uint32_t>& found) const {
    if (found == mesh_.distances) return;
    throw Error("bfs_mesh/" + road + " found other distances than the host");
  }

  /// `start` is not timed.
  template <class Start, class Run>
  void sample(const std::string& road, const std::string& how, const Start& start, const Run& run) {
    constexpr std::uint64_t enough_ns = 1'000'000'000;
    std::vector<double> ms;
    const std::uint64_t first = host_now_ns();
    for (int i = 0; i < 8 && (i < 3 || host_now_ns() - first < enough_ns); ++i) {
      start();
      const std::uint64_t begin = host_now_ns();
      run();
      if (i > 0) ms.push_back(static_cast<double>(host_now_ns() - begin) * 1e-6);
    }
    report_.add(figure(of(road), "ms", what_ + how, std::move(ms)));
  }

  template <class Search, class Graph>
  void by_scheduler(const std::string& road, const std::string& how, Search& search,
                    const Graph& graph, std::uint32_t each_sm, std::uint32_t slots) {
    SchedulerOptions options;
    options.context = plan_.context;
    options.context.executor = ExecutorKind::resident;
    options.context.park_after = 1s;
    options.context.step_deadline = 5s;
    options.context.workers =
        gpu_multiprocessors(plan_.context.device) * each_sm - 1;  // one serves
    options.spawn_slots = slots;
    auto scheduler = make_scheduler(search.steps(), options);
    auto prepared = scheduler->prepare(graph);
    std::uint64_t tasks = 0;
    sample(
        road, how, [&] { search.start(mesh_.source); },
        [&] {
          const GraphReport report = scheduler->run(prepared, patience);
          if (!report.all_completed()) throw Error("the tasks of a search did not all complete");
          tasks = report.summary.completed;
        });
    report_.add(figure({.group = "bfs_mesh_tasks", .road = road}, "tasks", "of one such search",
                       {static_cast<double>(tasks)}));
    require(road, search.distances());
  }

  void levels() {
    if (!wants("levels_graph")) return;
    Levels levels(mesh_, plan_.context.device);
    const auto start = [&] { levels.start(); };
    for (const unsigned threads : {128U, 256U}) {
      const std::string road = "levels_launch_" + std::to_string(threads);
      sample(road, "a launch for each level", start, [&] { levels.run_launches(threads); });
      require(road, levels.distances());
    }
    for (const bool programmatic : {false, true}) {
      if (programmatic && !Levels::has_dependent_launch(plan_.context.device)) {
        note_no_dependent_launch("bfs_mesh/levels_graph_pdl");
        continue;
      }
      for (const auto& [blocks, threads] : {std::pair(16U, 128U), {32U, 64U}, {66U, 128U}}) {
        const std::string road = std::string(programmatic ? "levels_graph_pdl_" : "levels_graph_") +
                                 std::to_string(blocks) + "x" + std::to_string(threads);
        levels.capture(blocks, threads, programmatic);
        sample(road, "60 launches of a level as a graph", start, [&] { levels.run_graph(); });
        require(road, levels.distances());
      }
    }
  }

  const Plan& plan_;
  Report& report_;
  Mesh mesh_;
  std::string what_;
};

}  // namespace

void measure_bfs(const Plan& plan, Report& report) {
  if (!plan.wants("bfs_mesh/resident")) return;
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  Comparison(plan, report).run();
}

}  // namespace aatgs::bench
