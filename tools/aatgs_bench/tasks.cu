// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/make_scheduler.cuh>
#include <memory>
#include <random>
#include <utility>

#include "cuda_handles.cuh"
#include "tasks.hpp"

namespace aatgs::bench {

namespace {

using namespace std::chrono_literals;

/// Spins for so long; 32 bytes, as configs of small tasks are.
struct SpinTask {
  static constexpr bool spawns = false;
  static constexpr unsigned block_threads = 64;
  /// One of them serves. With the registers that the compiler would like, 7 workers fit an H200's
  /// SM, and ran 330 M empty tasks/s where these 9 ran 380 M; in results/h200.json these run 363 M.
  static constexpr unsigned blocks_per_sm = 10;
  struct Config {
    std::uint64_t ns;
    std::uint64_t unused[3];
  };
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (config.ns != 0 && group.rank() == 0) {
      const std::uint64_t begin = worker_now_ns();
      while (worker_now_ns() - begin < config.ns) {
      }
    }
    group.sync();
  }
};

/// The same as a type of its own, so that the scheduler learns its length apart.
struct LongTask : SpinTask {};

/// A tree of tasks, each with eight children.
struct TreeTask {
  static constexpr unsigned block_threads = 64;
  static constexpr unsigned blocks_per_sm = 10;
  static constexpr std::uint32_t children = 8;
  struct Config {
    std::uint32_t depth;
    std::uint32_t unused[7];
  };
  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    if (config.depth == 0) return;
    for (std::uint32_t i = group.rank(); i < children; i += group.size()) {
      group.template spawn<TreeTask>({config.depth - 1, {}});
    }
  }
};

using S = Steps<SpinTask, LongTask, TreeTask>;
using Scheduler = TaskScheduler<S>;
using Graph = TaskGraph<S>;

constexpr auto patience = 20s;
constexpr std::uint64_t longest_short_ns = 5000;
constexpr std::uint32_t links = 2000;  // of the chain
constexpr int warm_up_runs = 2 * DispatchChoice::trials + 2;
constexpr int trees = 400;  // of 585 tasks: at once, as a queue has them, they fit the spawn slots

/// A random graph of 10,000 tasks.
struct RandomGraph {
  static constexpr std::uint32_t tasks = 10'000;
  std::vector<std::vector<TaskId>> before = std::vector<std::vector<TaskId>>(tasks);

  /// Each task behind none to three of the `window` before it.
  static RandomGraph loose(std::uint32_t window) {
    RandomGraph graph;
    std::mt19937 random(1);
    for (std::uint32_t id = 1; id < tasks; ++id) {
      for (std::uint32_t i = random() % 4; i > 0; --i) {
        graph.before[id].push_back(id - 1 - random() % std::min(id, window));
      }
    }
    return graph;
  }
  /// In layers, each task behind one to three of the layer before.
  static RandomGraph in_layers(std::uint32_t width) {
    RandomGraph graph;
    std::mt19937 random(1);
    for (std::uint32_t id = width; id < tasks; ++id) {
      const std::uint32_t layer = id / width - 1;
      for (std::uint32_t i = 1 + random() % 3; i > 0; --i) {
        graph.before[id].push_back(layer * width + random() % width);
      }
    }
    return graph;
  }

  [[nodiscard]] Graph graph(const std::vector<std::uint64_t>& ns) const {
    Graph graph;
    for (std::uint32_t id = 0; id < before.size(); ++id) {
      if (ns[id] > longest_short_ns) {
        graph.add<LongTask>("long task", {ns[id], {}}, before[id]);
      } else {
        graph.add<SpinTask>("task", {ns[id], {}}, before[id]);
      }
    }
    return graph;
  }
};

std::unique_ptr<Scheduler> make(const Plan& plan, std::uint32_t each_sm,
                                TaskDispatch dispatch = TaskDispatch::automatic,
                                TaskOrder order = TaskOrder::critical_path) {
  SchedulerOptions options;
  options.context = plan.context;
  options.context.executor = ExecutorKind::resident;
  options.context.park_after = 1s;
  options.context.step_deadline = 5s;
  options.context.workers = gpu_multiprocessors(plan.context.device) * each_sm;
  options.spawn_slots = 1 << 18;
  options.order = order;
  options.dispatch = dispatch;
  return make_scheduler(S(SpinTask{}, LongTask{}, TreeTask{}), options);
}

/// Runs the graph for about as long as the plan says, after the runs by which the scheduler
/// chooses; `value` of each report is a sample.
template <class Value>
std::vector<double> sample(const Plan& plan, Scheduler& scheduler, const Graph& graph,
                           const Value& value) {
  auto prepared = scheduler.prepare(graph);
  std::vector<double> samples;
  const std::uint64_t begin = host_now_ns();
  for (int run = 0;
       run < warm_up_runs + 5 || static_cast<double>(host_now_ns() - begin) < plan.seconds * 1e9;
       ++run) {
    const std::uint64_t queued = host_now_ns();
    const GraphReport report = scheduler.run(prepared, patience);
    const double us = static_cast<double>(host_now_ns() - queued) * 1e-3;
    if (!report.all_completed()) throw Error("a benchmark's tasks did not all complete");
    if (run >= warm_up_runs) samples.push_back(value(report, us));
  }
  return samples;
}

double device_us(const GraphReport& report, double) {
  return report.device_us();
}

class Tasks {
 public:
  Tasks(const Plan& plan, Report& report) : plan_(plan), report_(report) {}

  template <class Measure>
  void add(const std::string& road, const std::string& unit, const std::string& what,
           const Measure& measure) {
    const Case of{.group = "task", .road = road};
    if (plan_.wants(of.name())) report_.add(figure(of, unit, what, measure()));
  }

  void rate(std::uint32_t each_sm) {
    add("rate_" + std::to_string(each_sm), "M/s",
        "empty tasks spawned and run, " + std::to_string(each_sm) + " workers on each SM", [&] {
          Graph graph;
          for (int i = 0; i < trees; ++i) graph.add<TreeTask>("tree", {3, {}});
          return sample(plan_, *make(plan_, each_sm), graph, [](const GraphReport& r, double) {
            return static_cast<double>(r.summary.completed) / r.device_us();
          });
        });
  }

  void edge() {
    add("edge", "us", "from task to task of a chain", [&] {
      Graph graph;
      for (TaskId id = 0; id < links; ++id) {
        graph.add<SpinTask>("link", {}, id == 0 ? std::vector<TaskId>{} : std::vector{id - 1});
      }
      return sample(plan_, *make(plan_, 1), graph,
                    [](const GraphReport& r, double) { return r.device_us() / links; });
    });
  }

  void fan(std::uint32_t each_sm, TaskDispatch dispatch = TaskDispatch::automatic) {
    const std::string what = "from the end of one task over 4096 behind it to the start of a join";
    add("fan_" + std::to_string(each_sm) + suffix(dispatch), "us", what, [&] {
      Graph graph;
      const TaskId fork = graph.add<SpinTask>("fork", {});
      std::vector<TaskId> middle;
      for (int i = 0; i < 4096; ++i) middle.push_back(graph.add<SpinTask>("fan", {}, {fork}));
      const TaskId join = graph.add<SpinTask>("join", {}, middle);
      const auto scheduler = make(plan_, each_sm, dispatch);
      auto prepared = scheduler->prepare(graph);
      std::vector<double> samples;
      for (int run = 0; run < 30; ++run) {
        if (!scheduler->run(prepared, patience).all_completed()) {
          throw Error("a benchmark's tasks did not all complete");
        }
        const std::vector<TaskOutcome> outcomes = prepared.outcomes();
        const std::uint64_t ns = outcomes[join].started_ns - outcomes[fork].finished_ns;
        if (run >= warm_up_runs) samples.push_back(static_cast<double>(ns) * 1e-3);
      }
      return samples;
    });
  }

  /// `name` of the shape, whose layers are `width` tasks wide, for `each_sm` workers on each SM.
  void layers(const std::string& name, std::uint32_t width, std::uint32_t each_sm) {
    const auto layers = RandomGraph::in_layers(width);
    const std::vector<std::uint64_t> ns(RandomGraph::tasks, 2000);
    const std::string shape = "10,000 tasks of 2 us in layers of " + std::to_string(width);
    for (const TaskDispatch dispatch : {TaskDispatch::automatic, TaskDispatch::dynamic}) {
      add(name + "_resident" + suffix(dispatch), "us", shape + ", queue to report", [&] {
        return sample(plan_, *make(plan_, each_sm, dispatch), layers.graph(ns),
                      [](const GraphReport&, double us) { return us; });
      });
    }
    add(name + "_cuda_graph", "us", "the same as one CUDA graph, launch to synchronise",
        [&] { return cuda_graph(layers); });
  }

  void again() {
    add("resubmit", "ns", "host time by task to run 10,000 again with new configs", [&] {
      return resubmit(RandomGraph::in_layers(100),
                      std::vector<std::uint64_t>(RandomGraph::tasks, 2000));
    });
  }

  /// From deep graphs, whose longest way counts, to wide ones, whose work does.
  void mixed(std::uint32_t window) {
    const auto tasks = RandomGraph::loose(window);
    std::mt19937 random(2);
    std::vector<std::uint64_t> ns(RandomGraph::tasks);
    for (auto& length : ns) length = random() % 10 == 0 ? 20'000 : 1000;
    const std::string name = "mixed_" + std::to_string(window);
    const std::string what =
        "10,000 tasks, one in ten of 20 us, the others of 1 us, each behind up to three of the " +
        std::to_string(window) + " before";
    for (const TaskDispatch dispatch : {TaskDispatch::automatic, TaskDispatch::dynamic}) {
      for (const TaskOrder order : {TaskOrder::critical_path, TaskOrder::fifo}) {
        const std::string road = order == TaskOrder::fifo ? "_fifo" : "_critical_path";
        add(name + road + suffix(dispatch), "us", what, [&] {
          return sample(plan_, *make(plan_, 1, dispatch, order), tasks.graph(ns), device_us);
        });
      }
    }
  }

 private:
  static std::string suffix(TaskDispatch dispatch) {
    return dispatch == TaskDispatch::dynamic ? "_dynamic" : "";
  }

  std::vector<double> resubmit(const RandomGraph& layers, const std::vector<std::uint64_t>& ns) {
    auto scheduler = make(plan_, 4);
    auto prepared = scheduler->prepare(layers.graph(ns));
    std::vector<double> samples;
    for (std::uint64_t run = 0; run < 30; ++run) {
      const std::uint64_t begin = host_now_ns();
      for (TaskId id = 0; id < ns.size(); ++id) {
        prepared.config<SpinTask>(id) = {ns[id], {run, run, run}};
      }
      scheduler->submit(prepared);
      samples.push_back(static_cast<double>(host_now_ns() - begin) /
                        static_cast<double>(ns.size()));
      if (!scheduler->wait(patience)) throw TimeoutError("a benchmark's graph did not end");
    }
    return samples;
  }

  std::vector<double> cuda_graph(const RandomGraph& layers);

  const Plan& plan_;
  Report& report_;
};

__global__ void spin_kernel(SpinTask::Config config) {
  if (threadIdx.x != 0) return;
  const std::uint64_t begin = worker_now_ns();
  while (worker_now_ns() - begin < config.ns) {
  }
}

std::vector<double> Tasks::cuda_graph(const RandomGraph& layers) {
  cudaGraph_t graph = nullptr;
  AATGS_CUDA(cudaGraphCreate(&graph, 0), "making a graph");
  std::vector<cudaGraphNode_t> nodes(layers.before.size());
  SpinTask::Config config{2000, {}};
  void* arguments[] = {&config};
  cudaKernelNodeParams kernel{};
  kernel.func = reinterpret_cast<void*>(&spin_kernel);
  kernel.gridDim = dim3(1);
  kernel.blockDim = dim3(SpinTask::block_threads);
  kernel.kernelParams = arguments;
  for (std::size_t id = 0; id < nodes.size(); ++id) {
    std::vector<cudaGraphNode_t> before;
    for (const TaskId other : layers.before[id]) {
      if (std::find(before.begin(), before.end(), nodes[other]) == before.end()) {
        before.push_back(nodes[other]);
      }
    }
    AATGS_CUDA(cudaGraphAddKernelNode(&nodes[id], graph, before.data(), before.size(), &kernel),
               "adding a task to a graph");
  }
  cudaGraphExec_t ready = nullptr;
  AATGS_CUDA(cudaGraphInstantiate(&ready, graph, 0), "instantiating a graph of 10,000 tasks");
  const Stream stream;
  std::vector<double> us;
  for (int run = 0; run < 12; ++run) {
    const std::uint64_t begin = host_now_ns();
    AATGS_CUDA(cudaGraphLaunch(ready, stream.get()), "launching a graph of 10,000 tasks");
    AATGS_CUDA(cudaStreamSynchronize(stream.get()), "running a graph of 10,000 tasks");
    if (run >= 2) us.push_back(static_cast<double>(host_now_ns() - begin) * 1e-3);
  }
  cudaGraphExecDestroy(ready);
  cudaGraphDestroy(graph);
  return us;
}

}  // namespace

void measure_tasks(const Plan& plan, Report& report) {
  Tasks tasks(plan, report);
  for (const std::uint32_t each_sm : {1U, 4U, 9U}) tasks.rate(each_sm);
  tasks.edge();
  for (const std::uint32_t each_sm : {1U, 4U, 8U, 9U}) tasks.fan(each_sm);
  tasks.fan(8, TaskDispatch::dynamic);
  tasks.layers("graph_10k", 100, 4);
  tasks.layers("graph_10k_wide", 500, 9);
  tasks.again();
  for (const std::uint32_t window : mixed_windows) tasks.mixed(window);
  measure_cholesky(plan, report);
}

}  // namespace aatgs::bench
