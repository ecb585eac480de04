// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/make_scheduler.cuh>
#include <aatgs/integrations/coloring/coloring_pipeline.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>

#include "coloring.hpp"
#include "cuda_handles.cuh"

namespace aatgs::bench {

namespace {

using namespace coloring;

constexpr auto patience = std::chrono::seconds(20);

Graph mesh_graph(std::uint32_t side) {
  std::vector<Edge> edges;
  for (Vertex v = 0; v < side * side; ++v) {
    if (v % side != 0) edges.push_back({v, v - 1});
    if (v >= side) edges.push_back({v, v - side});
  }
  return Graph(std::size_t{side} * side, edges);
}

/// A block as the group of a step of tasks.
template <unsigned Threads>
struct LaunchedGroup : device::BlockGroup<Threads> {
  using device::BlockGroup<Threads>::BlockGroup;
  std::uint32_t first_part = 0;
  std::uint32_t all_parts = 1;
  __device__ std::uint32_t part() const { return first_part; }
  __device__ std::uint32_t parts() const { return all_parts; }
};

/// A phase of all tiles.
template <unsigned Threads, class Step, class... Out>
__global__ void __launch_bounds__(Threads)
    phase_kernel(Step step, typename Step::Config config, ResidentState* state, Out*... out) {
  __shared__ device::BlockShared shared;
  LaunchedGroup<Threads> group(shared, *state);
  group.first_part = blockIdx.x;
  group.all_parts = gridDim.x;
  step(group, config, *out...);
}

/// A phase of those tiles in which vertices have lost, each its block.
template <unsigned Threads, class Step>
__global__ void __launch_bounds__(Threads)
    round_kernel(Step step, std::uint32_t round, bool begins, ResidentState* state) {
  __shared__ device::BlockShared shared;
  LaunchedGroup<Threads> group(shared, *state);
  const ColoringTiles& tiles = step.tiles;
  const std::uint32_t tile = tiles.list(round - 1)[blockIdx.x];
  if (begins && blockIdx.x == 0 && threadIdx.x == 0) {
    tiles.report->losers += tiles.round(round - 1).losers;
    tiles.report->rounds = round + 1;
    tiles.round(round) = {};
  }
  step(group, {round, {tile, tile + 1}});
}

/// The phases by launches.
template <unsigned Threads>
class Launches {
 public:
  Launches(const ColoringTiles& tiles, int device)
      : tiles_(tiles),
        state_(MemoryKind::device, 1, device),
        report_(MemoryKind::mapped, 1, device),
        round_(MemoryKind::mapped, 1, device) {}

  ColoringReport run(std::uint64_t seed) {
    const TileRange all{0, tiles_.tiles};
    launch(PrepareTiles{tiles_}, {seed, all});
    launch(ColorTiles{tiles_}, {0, all});
    launch(DetectTiles{tiles_}, {0, all});
    std::uint32_t round = 0;
    for (std::uint32_t left = read_tiles(round); left != 0; left = read_tiles(round)) {
      if (++round > tiles_.vertices) throw Error("a coloring by launches does not end");
      launch_round(ColorTiles{tiles_}, left, round, true);
      launch_round(DetectTiles{tiles_}, left, round, false);
    }
    launch(VerifyTiles{tiles_}, all);
    phase_kernel<Threads><<<1, Threads, 0, stream_.get()>>>(
        ReportColoring{tiles_}, ReportColoring::Config{}, state_.data(), report_.data());
    AATGS_CUDA(cudaGetLastError(), "launching the report of a coloring");
    wait();
    return *report_.data();
  }

 private:
  template <class Step>
  void launch(const Step& step, const typename Step::Config& config) {
    phase_kernel<Threads><<<tiles_.tiles, Threads, 0, stream_.get()>>>(step, config, state_.data());
    AATGS_CUDA(cudaGetLastError(), "launching a phase of a coloring");
  }
  template <class Step>
  void launch_round(const Step& step, std::uint32_t tiles, std::uint32_t round, bool begins) {
    round_kernel<Threads><<<tiles, Threads, 0, stream_.get()>>>(step, round, begins, state_.data());
    AATGS_CUDA(cudaGetLastError(), "launching a round of a coloring");
  }
  /// Those in which vertices have lost.
  std::uint32_t read_tiles(std::uint32_t round) {
    AATGS_CUDA(cudaMemcpyAsync(round_.data(), tiles_.rounds + round % 2, sizeof(ColoringRound),
                               cudaMemcpyDeviceToHost, stream_.get()),
               "reading the losers of a round");
    wait();
    return round_.data()->tiles;
  }
  void wait() { AATGS_CUDA(cudaStreamSynchronize(stream_.get()), "coloring by launches"); }

  ColoringTiles tiles_;
  Buffer<ResidentState> state_;
  Buffer<ColoringReport> report_;
  Buffer<ColoringRound> round_;
  Stream stream_;
};

class Comparison {
 public:
  Comparison(const Plan& plan, Report& report, const Graph& graph, std::string name,
             const std::string& what)
      : plan_(plan), report_(report), graph_(graph), name_(std::move(name)), what_(what) {}

  void run() {
    by_scheduler();
    by_launches<256>();
    by_launches<512>();
  }

 private:
  /// `run(seed)` gives the report of a coloring.
  template <class Run>
  void add(const Case& of, const std::string& how, const ColoringPipeline& pipeline,
           const Run& run) {
    std::vector<double> ms;
    ColoringReport last;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const std::uint64_t begin = host_now_ns();
      last = run(seed);
      if (seed > 0) ms.push_back(static_cast<double>(host_now_ns() - begin) * 1e-6);
      const bool counts_fit = last.colorings == graph_.vertex_count() + last.losers;
      if (count_conflicts(graph_, pipeline.colors()) != 0 || last.conflicts != 0 || !counts_fit) {
        throw Error(of.name() + " is not a legal coloring");
      }
    }
    report_.add(figure(of, "ms",
                       what_ + ", " + how + "; the last one " + std::to_string(last.colors) +
                           " colors in " + std::to_string(last.rounds) + " rounds",
                       std::move(ms)));
  }

  [[nodiscard]] Case of(const std::string& road) const {
    return {.group = "task", .road = "coloring_" + name_ + "_" + road};
  }

  void by_scheduler() {
    const Case of = this->of("resident");
    if (!plan_.wants(of.name())) return;
    const ColoringPipeline pipeline(graph_, MemoryKind::device, {}, plan_.context.device);
    SchedulerOptions options;
    options.context = plan_.context;
    options.context.executor = ExecutorKind::resident;
    options.context.park_after = std::chrono::seconds(1);
    options.context.step_deadline = std::chrono::seconds(5);
    options.spawn_slots = pipeline.spawn_slots();
    auto scheduler = make_scheduler(pipeline.steps(), options);
    auto prepared = scheduler->prepare(pipeline.graph());
    add(of, "tasks that spawn the next round", pipeline, [&](std::uint64_t seed) {
      prepared.config<PrepareTiles>(ColoringPipeline::prepare).seed = seed;
      if (!scheduler->run(prepared, patience).all_completed()) {
        throw Error("a coloring by tasks: " + prepared.explain(ColoringPipeline::report));
      }
      return prepared.result<ReportColoring>(ColoringPipeline::report);
    });
  }

  template <unsigned Threads>
  void by_launches() {
    const Case of = this->of("launches_" + std::to_string(Threads));
    if (!plan_.wants(of.name())) return;
    const ColoringPipeline pipeline(graph_, MemoryKind::device,
                                    {.seed = 1, .tile_vertices = Threads}, plan_.context.device);
    Launches<Threads> launches(pipeline.tiles(), plan_.context.device);
    add(of, "a launch for each phase, the host reads what is left", pipeline,
        [&](std::uint64_t seed) { return launches.run(seed); });
  }

  const Plan& plan_;
  Report& report_;
  const Graph& graph_;
  std::string name_;
  std::string what_;
};

}  // namespace

void measure_coloring(const Plan& plan, Report& report) {
  if (!plan.wants("task/coloring_random_resident")) return;
  AATGS_CUDA(cudaSetDevice(plan.context.device), "selecting the device");
  constexpr std::uint32_t vertices = 200'000;
  Comparison(plan, report, gnp_graph(vertices, 10.0 / vertices, 1), "random",
             "a coloring of 200,000 vertices of mean degree 10")
      .run();
  Comparison(plan, report, mesh_graph(1000), "mesh", "a coloring of a 1000 x 1000 mesh").run();
}

}  // namespace aatgs::bench
