// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/make_scheduler.cuh>
#include <aatgs/integrations/linear/tiled_cholesky.hpp>
#include <cmath>
#include <deque>
#include <map>

#include "cuda_handles.cuh"
#include "tasks.hpp"

namespace aatgs::bench {

namespace {

using linear::TiledCholesky;
using S = TiledCholesky::TaskSteps;

constexpr std::uint32_t rows = 4096;
constexpr auto patience = std::chrono::seconds(20);

/// Symmetric, the diagonal outweighs the rest.
std::vector<double> matrix() {
  std::vector<double> a(std::size_t{rows} * rows);
  for (std::uint32_t r = 0; r < rows; ++r) {
    for (std::uint32_t c = 0; c <= r; ++c) {
      const double value = std::sin(1.0 + r * 0.37 + c * 1.3);
      a[std::size_t{r} * rows + c] = r == c ? value + rows : value;
    }
  }
  return a;
}

/// Largest difference of some entries of L L^T from A.
double error_of(const std::vector<double>& l, const std::vector<double>& a) {
  double largest = 0;
  for (std::uint32_t r = 0; r < rows; r += 131) {
    for (std::uint32_t c = 0; c <= r; c += 67) {
      double sum = 0;
      for (std::uint32_t k = 0; k <= c; ++k) {
        sum += l[std::size_t{r} * rows + k] * l[std::size_t{c} * rows + k];
      }
      largest = std::max(largest, std::abs(sum - a[std::size_t{r} * rows + c]));
    }
  }
  return largest;
}

/// One tile operation as a kernel of its own.
template <class Step>
__global__ void __launch_bounds__(S::block_threads, 1)
    tile_kernel(Step step, typename Step::Config config, ResidentState* state) {
  __shared__ device::BlockShared shared;
  if (threadIdx.x == 0) shared.failed = 0;
  __syncthreads();
  device::BlockGroup<S::block_threads> group(shared, *state);
  step(group, config);
}

/// The graph by streams and events: a task goes to the stream of one that it waits for, and waits
/// for the others by events.
class Streams {
 public:
  Streams(const S& steps, const TaskGraph<S>& graph, int device)
      : steps_(steps), graph_(graph), state_(MemoryKind::device, 1, device) {
    const TaskPlan& plan = graph.plan();
    before_.resize(plan.size());
    for (TaskId id = 0; id < plan.size(); ++id) {
      for (const TaskId after : plan.dependents(id)) before_[after].push_back(id);
    }
    for (std::size_t i = 0; i < count; ++i) streams_.emplace_back();
    for (TaskId id = 0; id < plan.size(); ++id) events_.emplace_back();
    for (std::uint32_t type = 0; type < S::count; ++type) {
      steps_.visit(type, [](const auto& step) {
        using Step = std::decay_t<decltype(step)>;
        AATGS_CUDA(
            cudaFuncSetAttribute(tile_kernel<Step>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(step_scratch_bytes(step))),
            "asking for shared memory of a tile kernel");
      });
    }
  }

  void run() {
    std::vector<std::size_t> place(before_.size());
    std::size_t next = 0;
    for (TaskId id = 0; id < before_.size(); ++id) {
      const auto& before = before_[id];
      place[id] = before.empty() ? next++ % count : place[before.front()];
      if (before.size() == 1) place[id] = next++ % count;
      for (const TaskId other : before) {
        if (place[other] == place[id]) continue;
        AATGS_CUDA(cudaStreamWaitEvent(streams_[place[id]].get(), events_[other].get(), 0),
                   "waiting for a tile");
      }
      launch(id, streams_[place[id]].get());
      AATGS_CUDA(cudaEventRecord(events_[id].get(), streams_[place[id]].get()), "marking a tile");
    }
    for (const Stream& stream : streams_) {
      AATGS_CUDA(cudaStreamSynchronize(stream.get()), "running tiles in streams");
    }
  }

 private:
  static constexpr std::size_t count = 32;

  void launch(TaskId id, cudaStream_t stream) {
    const PlannedTask& task = graph_.plan().task(id);
    steps_.visit(task.type, [&](const auto& step) {
      using Step = std::decay_t<decltype(step)>;
      const auto& config =
          *reinterpret_cast<const typename Step::Config*>(&graph_.configs()[task.config_at]);
      tile_kernel<Step>
          <<<1, S::block_threads, step_scratch_bytes(step), stream>>>(step, config, state_.data());
    });
    AATGS_CUDA(cudaGetLastError(), "launching a tile kernel");
  }

  S steps_;
  const TaskGraph<S>& graph_;
  std::vector<std::vector<TaskId>> before_;
  std::deque<Stream> streams_;
  std::deque<Event> events_;
  Buffer<ResidentState> state_;
};

template <class Run>
std::vector<double> sample_ms(TiledCholesky& cholesky, const std::vector<double>& a, int warm_ups,
                              const Run& run) {
  std::vector<double> ms;
  for (int i = 0; i < warm_ups + 5; ++i) {
    cholesky.set(a);
    const std::uint64_t begin = host_now_ns();
    run();
    if (i >= warm_ups) ms.push_back(static_cast<double>(host_now_ns() - begin) * 1e-6);
  }
  const double error = error_of(cholesky.get(), a);
  if (!(error < 1e-6)) throw Error("a factorisation is off by " + std::to_string(error));
  return ms;
}

std::vector<double> by_scheduler(const Plan& plan, TiledCholesky& cholesky,
                                 const std::vector<double>& a, TaskOrder order) {
  SchedulerOptions options;
  options.context = plan.context;
  options.context.executor = ExecutorKind::resident;
  options.context.step_deadline = std::chrono::seconds(5);
  options.order = order;
  auto scheduler = make_scheduler(cholesky.steps(), options);
  auto graph = scheduler->prepare(cholesky.graph());
  return sample_ms(cholesky, a, 2 * DispatchChoice::trials + 2, [&] {
    if (!scheduler->run(graph, patience).all_completed()) {
      throw Error("a factorisation's tasks did not all complete");
    }
  });
}

}  // namespace

void measure_cholesky(const Plan& plan, Report& report) {
  const auto add = [&](const std::string& road, const std::string& what, auto measure) {
    const Case of{.group = "task", .road = "cholesky_" + road};
    if (!plan.wants(of.name())) return;
    TiledCholesky cholesky(rows, MemoryKind::device, plan.context.device);
    const std::vector<double> a = matrix();
    report.add(figure(of, "ms", "Cholesky factors of 4096 rows, tiles of 64, " + what,
                      measure(cholesky, a)));
  };
  add("resident", "by critical path", [&](TiledCholesky& cholesky, const auto& a) {
    return by_scheduler(plan, cholesky, a, TaskOrder::critical_path);
  });
  add("fifo", "as tiles become ready", [&](TiledCholesky& cholesky, const auto& a) {
    return by_scheduler(plan, cholesky, a, TaskOrder::fifo);
  });
  add("streams", "the same kernels in streams with events",
      [&](TiledCholesky& cholesky, const auto& a) {
        const TaskGraph<S> graph = cholesky.graph();
        Streams streams(cholesky.steps(), graph, plan.context.device);
        return sample_ms(cholesky, a, 1, [&] { streams.run(); });
      });
}

}  // namespace aatgs::bench
