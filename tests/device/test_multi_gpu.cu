// SPDX-License-Identifier: Apache-2.0
// Several GPUs in one program: contexts, a failure, a portfolio. With one GPU, what needs two says
// so and is skipped. What faults runs in a process of its own: a hidden test case.
#include <aatgs/host/make_context.cuh>
#include <aatgs/host/resident_registry.hpp>
#include <aatgs/host/stream/device_set.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <aatgs/integrations/coloring/whcr_portfolio.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../brief.hpp"
#include "several_gpus.hpp"

namespace aatgs::test {
namespace {

// ---- contexts ----------------------------------------------------------------------------------

struct Task {
  std::uint32_t value = 0;
  bool faults = false;
};

struct CountStep {
  static constexpr unsigned block_threads = 64;
  static constexpr bool device_only = true;

  std::uint32_t* runs;
  std::uint32_t* nowhere;  ///< no memory is there

  template <class Group>
  __device__ void operator()(Group& group, const Task& task, std::uint32_t& out) const {
    if (group.rank() != 0) return;
    if (task.faults) store_shared(nowhere, 1U);
    atomicAdd(runs, 1U);
    out = task.value * 3 + 1;
  }
};

using CountContext = GpuExecutionContext<Task, std::uint32_t>;

/// A context on a device, and what its step works on.
struct Member {
  Member(int device, ContextOptions options)
      : runs(MemoryKind::device, 1, device), ctx(make(device, options)) {}

  CountContext make(int device, ContextOptions options) {
    options.device = device;
    auto* nowhere = reinterpret_cast<std::uint32_t*>(std::uintptr_t{16});
    return make_context<Task, std::uint32_t>(CountStep{runs.data(), nowhere}, options);
  }
  /// Whether configs come back with what the step makes of them.
  bool runs_well(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!ctx.queue({i})) return false;
      const auto done = ctx.wait(patience);
      if (!done || done->telemetry != 3 * i + 1) return false;
    }
    return true;
  }

  Buffer<std::uint32_t> runs;
  CountContext ctx;
};

int device_of(const void* data) {
  cudaPointerAttributes attributes{};
  REQUIRE(cudaPointerGetAttributes(&attributes, data) == cudaSuccess);
  return attributes.device;
}

const std::vector<ExecutorKind> gpu_executors{
    ExecutorKind::resident, ExecutorKind::launch_queue,  ExecutorKind::launch,
    ExecutorKind::graph,    ExecutorKind::triple_buffer, ExecutorKind::automatic};

ContextOptions options_for(ExecutorKind executor, Scope scope) {
  ContextOptions options;
  options.executor = executor;
  options.scope = scope;
  return options;
}

TEST_CASE("several GPUs: one thread's contexts launch on each other's device") {
  if (!has_two_gpus()) return;
  const Watchdog watchdog("contexts in turns");
  for (const Scope scope : {Scope::block, Scope::grid}) {
    for (const ExecutorKind executor : gpu_executors) {
      CAPTURE(to_string(executor));
      CAPTURE(to_string(scope));
      Member first(0, options_for(executor, scope));
      Member second(1, options_for(executor, scope));
      CHECK(device_of(first.runs.data()) == 0);
      CHECK(device_of(second.runs.data()) == 1);
      for (std::uint32_t round = 0; round < 6; ++round) {
        if (round == 2) REQUIRE(second.ctx.park(patience));  // it is launched again
        if (round == 4) REQUIRE(first.ctx.park(patience));
        CHECK(first.runs_well(5));
        CHECK(second.runs_well(7));
      }
      std::vector<Task> batch(100);
      CHECK(first.ctx.execute_batch(batch).size() == 100);
      CHECK(second.ctx.execute_batch(batch).size() == 100);
      CHECK(first.runs.download().front() == 6 * 5 + 100);
      CHECK(second.runs.download().front() == 6 * 7 + 100);
    }
  }
}

TEST_CASE("several GPUs: a context is of use on the thread that made it alone") {
  if (!has_two_gpus()) return;
  const Watchdog watchdog("contexts on other threads");
  for (const ExecutorKind executor : gpu_executors) {
    CAPTURE(to_string(executor));
    std::optional<Member> second(std::in_place, 1, options_for(executor, Scope::block));
    bool well = false;
    int selected = -1;
    std::thread([&] {  // has device 0 selected
      well = second->runs_well(20);
      cudaGetDevice(&selected);
    })
        .join();
    CHECK(well);
    std::thread([&] { well = second->runs.download().front() == 20; }).join();
    CHECK(well);
    std::thread([&] { second.reset(); }).join();
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    CHECK(cudaGetLastError() == cudaSuccess);
  }
}

// ---- a failure ---------------------------------------------------------------------------------

/// On the device of `member`; false: it did not come in time.
bool fails(Member& member) {
  const auto begin = std::chrono::steady_clock::now();
  try {
    if (!member.ctx.queue({.faults = true})) return false;
    while (std::chrono::steady_clock::now() - begin < 10s) static_cast<void>(member.ctx.wait(1s));
  } catch (const DeviceError& e) {
    std::printf("NOTE %s\n", e.what());
    return e.code_name() == "cudaErrorIllegalAddress";
  }
  return false;
}

/// What was not damaged may go on, or end with the error of the device that faulted: CUDA leaves
/// that open ("any further CUDA work will return the same error"), and two H200 that were peers
/// both ended. False: it neither works nor says so by name.
template <class Work>
bool works_or_says(const Work& work) {
  try {
    return work();
  } catch (const DeviceError& e) {
    std::printf("NOTE %s\n", e.what());
    return e.code_name() == "cudaErrorIllegalAddress";
  }
}

TEST_CASE("child: a fault on device 1" * doctest::skip()) {
  const auto executor = parse_executor(std::getenv("AATGS_TEST_EXECUTOR"));
  const ContextOptions options = options_for(executor, Scope::block);
  const bool are_peers = std::getenv("AATGS_TEST_PEERS") != nullptr;
  DeviceSet set = DeviceSet::gpus(are_peers ? std::vector<int>{0, 1} : std::vector<int>{0});
  Stream here(set.device(0));
  Buffer<int> near(MemoryKind::device, 1000, 0);
  if (are_peers) {
    Stream there(set.device(1));
    Buffer<int> far(MemoryKind::device, 1000, 1);
    set.copy(there, far.data(), here, near.data(), 4000);
    there.synchronize(patience);
  }
  Member first(0, options);
  Member second(1, options);
  CHECK(first.runs_well(10));
  CHECK(second.runs_well(10));
  REQUIRE(fails(second));
  CHECK_THROWS_AS(static_cast<void>(second.ctx.poll()), DeviceError);
  CHECK(works_or_says([&] { return first.runs_well(10); }));
  CHECK(works_or_says([&] { return first.runs.download().front() == 20; }));
  CHECK(works_or_says([&] { return Member(0, options).runs_well(10); }));
  CHECK(works_or_says([&] {
    here.set(near.data(), 0, sizeof(int));
    here.synchronize(patience);
    return near.download()[0] == 0;
  }));
  // What could not run is not drained, but given up.
  CHECK(works_or_says([&] { return first.ctx.shutdown(StopMode::abort, patience); }));
}

TEST_CASE("several GPUs: a fault of one hangs what runs on another, or ends it without a word") {
  if (!has_two_gpus()) return;
  for (const ExecutorKind executor :
       {ExecutorKind::resident, ExecutorKind::launch_queue, ExecutorKind::launch}) {
    for (const char* peers : {"", " AATGS_TEST_PEERS=1"}) {
      CAPTURE(to_string(executor));
      CAPTURE(peers);
      CHECK(run_child("a fault on device 1",
                      "AATGS_TEST_EXECUTOR=" + std::string(to_string(executor)) + peers));
    }
  }
}

// ---- WHCR --------------------------------------------------------------------------------------

TEST_CASE("several GPUs: a portfolio of WHCR repairs no coloring, or hangs") {
  const Watchdog watchdog("portfolio");
  const coloring::Graph graph = coloring::queen_graph(8);
  const std::vector<int> all = all_gpus();
  for (const Scope scope : {Scope::block, Scope::grid}) {
    CAPTURE(to_string(scope));
    coloring::WhcrOptions options;
    options.context = options_for(ExecutorKind::resident, scope);
    options.colors = 9;
    options.searches = brief_or(2U, 0U);
    const auto initial = coloring::random_coloring(graph.vertex_count(), 9, 1);
    const auto result = coloring::run_whcr_portfolio(graph, options, all, initial, {});
    CHECK(result.best.conflicts == 0);
    CHECK(coloring::verify_coloring(graph, result.best.colors, 9).legal());
    REQUIRE(result.parts.size() == all.size());
    for (const coloring::WhcrPart& part : result.parts) {
      INFO(part.failure);
      CHECK(part.failure.empty());
      CHECK(part.progress.iterations > 0);
    }
  }
  // All go on to the end where none finds a coloring.
  coloring::WhcrOptions options;
  options.context = options_for(ExecutorKind::resident, Scope::block);
  options.colors = 6;  // queens need 9
  options.searches = 4;
  options.slice = 10;
  const auto initial = coloring::random_coloring(graph.vertex_count(), 6, 1);
  const auto result =
      coloring::run_whcr_portfolio(graph, options, all, initial, {.iterations = 200});
  for (const coloring::WhcrPart& part : result.parts) {
    CHECK(part.progress.iterations == 800);
    CHECK_FALSE(part.was_stopped);
  }
  // Each has a kernel of its own, where it was told.
  std::vector<std::size_t> kernels(all.size(), 1);
  static_cast<void>(coloring::run_whcr_portfolio(
      graph, options, all, initial, {.time = 250ms}, [&](const coloring::WhcrProgress&) {
        for (const int device : all) {
          kernels[static_cast<std::size_t>(device)] =
              ResidentRegistry::of_process().on(device).size();
        }
      }));
  CHECK(kernels == std::vector<std::size_t>(all.size(), 1));
}

}  // namespace
}  // namespace aatgs::test
