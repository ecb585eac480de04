// SPDX-License-Identifier: Apache-2.0
// What is built on streams, with kernels. The host tests of the same objects have the hazards; here
// are those that only a GPU's own order can bring. Kernels that wait give up by themselves.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/stream/async_coordinator.hpp>
#include <aatgs/host/stream/gpu_triple_buffer.hpp>
#include <aatgs/host/stream/multi_stream_coordinator.hpp>
#include <aatgs/host/stream/pipeline_stage_manager.hpp>
#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "../brief.hpp"

namespace aatgs {
namespace {

using namespace std::chrono_literals;
using test::brief_or;
using Values = Buffer<int>;

constexpr auto patience = 15s;
constexpr unsigned long long kernel_patience_ns = 3'000'000'000;

__device__ unsigned long long now_ns() {
  unsigned long long time;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(time));
  return time;
}

__global__ void scale(const int* in, int* out, std::size_t count, int factor) {
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count;
       i += std::size_t{gridDim.x} * blockDim.x) {
    out[i] = in[i] * factor;
  }
}

/// Until the host sets the flag.
__global__ void hold(const volatile int* flag) {
  const unsigned long long begin = now_ns();
  while (*flag == 0 && now_ns() - begin < kernel_patience_ns) {
  }
}

/// Adds one to `met` if `expected` such kernels run at once.
__global__ void meet(int* here, int expected, int* met) {
  const unsigned long long begin = now_ns();
  atomicAdd(here, 1);
  while (atomicAdd(here, 0) < expected) {
    if (now_ns() - begin > kernel_patience_ns) return;
  }
  atomicAdd(met, 1);
}

__global__ void add(int* to, int value) {
  atomicAdd(to, value);
}

cudaStream_t stream_of(StreamTarget target) {
  return static_cast<cudaStream_t>(target.native);
}
void launched() {
  AATGS_CUDA(cudaGetLastError(), "launching a test's kernel");
}

StreamWork scaling(const int* in, int* out, std::size_t count, int factor) {
  return [=](StreamTarget target) {
    scale<<<64, 256, 0, stream_of(target)>>>(in, out, count, factor);
    launched();
  };
}

/// A kernel that runs until it is opened; opened at its end.
class KernelDoor {
 public:
  ~KernelDoor() { open(); }
  void open() { *static_cast<volatile int*>(flag_.data()) = 1; }
  StreamWork work() {
    return [flag = flag_.data()](StreamTarget target) {
      hold<<<1, 1, 0, stream_of(target)>>>(flag);
      launched();
    };
  }

 private:
  Values flag_{MemoryKind::mapped, 1};
};

/// Under a sanitizer kernels may run one at a time, so nothing that must overlap is tested. Else
/// loads the kernels: to do so at their first launch CUDA may wait for one that runs.
bool kernels_overlap() {
  cudaFuncAttributes attributes{};
  AATGS_CUDA(cudaFuncGetAttributes(&attributes, hold), "loading a kernel");
  AATGS_CUDA(cudaFuncGetAttributes(&attributes, meet), "loading a kernel");
  return brief_or(false, true);
}

void wait_until(const auto& is_true) {
  const auto begin = std::chrono::steady_clock::now();
  while (!is_true() && std::chrono::steady_clock::now() - begin < patience) {
    std::this_thread::yield();
  }
  CHECK(is_true());
}

TEST_CASE("coordinator on a GPU: a dependency is not waited for, or values are wrong") {
  constexpr std::size_t count = 1 << 20;
  AsyncCoordinator coordinator(make_gpu_stream_device(0), {.compute_streams = 3});
  Values in(MemoryKind::mapped, count), out(MemoryKind::mapped, count);
  Values a(MemoryKind::device, count), b(MemoryKind::device, count);
  OperationId last = coordinator.join({});
  const int rounds = brief_or(3, 50);
  for (int round = 0; round < rounds; ++round) {
    coordinator.wait(last, patience);
    for (std::size_t i = 0; i < count; ++i) in.data()[i] = static_cast<int>(i % 1000) + round;
    const auto bytes = count * sizeof(int);
    const auto up = coordinator.queue_upload(a.data(), in.data(), bytes);
    const auto half = count / 2;
    const std::vector<StreamWork> halves{
        scaling(a.data(), b.data(), half, 2),
        scaling(a.data() + half, b.data() + half, count - half, 2)};
    const auto scaled = coordinator.join(coordinator.fork(halves, {up}));
    const auto back = coordinator.queue_compute(scaling(b.data(), a.data(), count, 3), {scaled});
    last = coordinator.queue_download(out.data(), a.data(), bytes, {back});
    coordinator.wait(last, patience);
    bool right = true;
    for (std::size_t i = 0; i < count; ++i) right = right && out.data()[i] == in.data()[i] * 6;
    CHECK(right);
  }
  CHECK(coordinator.poll().size() == 1 + 6 * static_cast<std::size_t>(rounds));
  coordinator.close(patience);
}

TEST_CASE("coordinator on a GPU: poll waits for a kernel, or a fork runs one after the other") {
  if (!kernels_overlap()) return;
  Values counts(MemoryKind::device, 2);
  KernelDoor door;
  AsyncCoordinator coordinator(make_gpu_stream_device(0), {.compute_streams = 3});
  const auto held = coordinator.queue_compute(door.work());
  CHECK(coordinator.poll().empty());
  CHECK_THROWS_AS(coordinator.wait(held, 1ms), TimeoutError);
  const std::vector<StreamWork> both(2, [at = counts.data()](StreamTarget target) {
    meet<<<1, 1, 0, stream_of(target)>>>(at, 2, at + 1);
    launched();
  });
  const auto joined = coordinator.join(coordinator.fork(both));
  coordinator.wait(joined, patience);  // while the first kernel still runs
  CHECK(!coordinator.is_finished(held));
  CHECK(counts.download()[1] == 2);
  door.open();
  coordinator.wait(held, patience);
}

TEST_CASE("coordinator on a GPU: a launch that fails is not told, or others fail as well") {
  AsyncCoordinator coordinator(make_gpu_stream_device(0), {.name = "gpu"});
  const StreamWork bad = [](StreamTarget target) {
    add<<<1, 4096, 0, stream_of(target)>>>(nullptr, 1);  // too many threads
    launched();
  };
  std::string told;
  try {
    coordinator.queue_compute(bad);
  } catch (const DeviceError& error) {
    told = error.what();
    CHECK((error.code_name() == "cudaErrorInvalidValue" ||  // CUDA 13
           error.code_name() == "cudaErrorInvalidConfiguration"));
  }
  CHECK(told.starts_with("coordinator 'gpu', compute operation 1, which was not queued: "));
  Values value(MemoryKind::device, 1);
  coordinator.wait(coordinator.queue_compute([&](StreamTarget target) {
    add<<<1, 1, 0, stream_of(target)>>>(value.data(), 5);
    launched();
  }),
                   patience);
  CHECK(value.download()[0] == 5);
}

TEST_CASE("triple buffer on a GPU: a step sees the values of another") {
  constexpr std::size_t count = 1 << 18;
  GpuTripleBuffer<int> buffer(make_gpu_stream_device(0), count, count);
  int collected = 0;
  const auto check_next = [&] {
    const auto output = buffer.collect(patience);
    ++collected;
    bool right = true;
    for (std::size_t i = 0; i < count; ++i) {
      right = right && output.values()[i] == (collected + static_cast<int>(i % 7)) * 5;
    }
    CHECK(right);
  };
  const auto times_five = [](StreamTarget target, const int* in, int* out) {
    scale<<<64, 256, 0, stream_of(target)>>>(in, out, count, 5);
    launched();
  };
  const int steps = brief_or(6, 100);
  for (int step = 1; step <= steps; ++step) {
    auto slot = buffer.acquire(patience);
    for (std::size_t i = 0; i < count; ++i) slot.input()[i] = step + static_cast<int>(i % 7);
    if (step == 4) {  // a work that throws, and then the same slot again
      CHECK_THROWS_AS(buffer.submit(std::move(slot),
                                    [&](StreamTarget target, int* in, int* out) {
                                      times_five(target, in, out);
                                      throw std::runtime_error("after its launch");
                                    }),
                      Error);
    }
    buffer.submit(std::move(slot), times_five);
    if (buffer.in_flight() == 3) check_next();
  }
  while (buffer.in_flight() > 0) check_next();
  CHECK(collected == steps);
  buffer.close(patience);
}

TEST_CASE("triple buffer on a GPU: work k holds up upload k + 1 or download k - 1") {
  if (!kernels_overlap()) return;
  KernelDoor door;
  GpuTripleBuffer<int> buffer(make_gpu_stream_device(0), 1 << 16, 1 << 16);
  const auto submit = [&](const StreamWork& work) {
    auto slot = buffer.acquire(patience);
    buffer.submit(std::move(slot), [work](StreamTarget target, int*, int*) { work(target); });
  };
  submit([](StreamTarget) {});
  submit(door.work());
  submit([](StreamTarget) {});
  {
    const auto first = buffer.collect(patience);
    CHECK(first.ticket() == 1);
    using State = TripleBufferState;
    wait_until([&] { return buffer.states()[2] == State::processing; });
    CHECK(buffer.states() == std::vector{State::reading, State::processing, State::processing});
  }
  CHECK(buffer.try_collect().is_empty());
  door.open();
  for (const std::uint64_t ticket : {2U, 3U}) CHECK(buffer.collect(patience).ticket() == ticket);
}

TEST_CASE("pipeline on a GPU: stages or iterations mix up their buffers, also as a graph") {
  constexpr std::size_t count = 1 << 16;
  for (const bool graph : {false, true}) {
    CAPTURE(graph);
    PipelineStageManager pipeline(make_gpu_stream_device(0), {.graph = graph});
    Values in(MemoryKind::mapped, count), out(MemoryKind::mapped, count);
    for (std::size_t i = 0; i < count; ++i) in.data()[i] = static_cast<int>(i % 100);
    const auto scaled = [](int factor) -> StageWork {
      return [factor](const StageCall& call) {
        scale<<<call.shape.grid[0], call.shape.block[0], 0, stream_of(call.target)>>>(
            call.input<int>(0), call.output<int>(0), count, factor);
        launched();
      };
    };
    const auto added = [](const StageCall& call) {
      add<<<1, 1, 0, stream_of(call.target)>>>(call.output<int>(0), 1);
      launched();
    };
    const StageShape shape{{32, 1, 1}, {256, 1, 1}, 0};
    for (const char* name : {"x", "l", "r", "y"}) {
      pipeline.add_buffer(name, count * sizeof(int));
    }
    pipeline.add_buffer("iterations", sizeof(int), PipelineBufferKind::carried);
    pipeline.add_upload("up", "x", in.data());
    pipeline.add_stage({"left", shape, {"x"}, {"l"}, scaled(2)});
    pipeline.add_stage({"right", shape, {"x"}, {"r"}, scaled(3)});
    pipeline.add_stage({"sum", shape, {"l", "r"}, {"y"}, [](const StageCall& call) {
                          scale<<<32, 256, 0, stream_of(call.target)>>>(
                              call.input<int>(0), call.output<int>(0), count / 2, 1);
                          scale<<<32, 256, 0, stream_of(call.target)>>>(
                              call.input<int>(1) + count / 2, call.output<int>(0) + count / 2,
                              count / 2, 1);
                          launched();
                        }});
    pipeline.add_stage({"count", {}, {"iterations"}, {"iterations"}, added});
    pipeline.add_download("down", "y", out.data());
    const auto is_right = [&](int left, int right) {
      bool right_values = true;
      for (std::size_t i = 0; i < count; ++i) {
        const int factor = i < count / 2 ? left : right;
        right_values = right_values && out.data()[i] == in.data()[i] * factor;
      }
      return right_values;
    };
    const int rounds = brief_or(3, 100);
    for (int i = 0; i < rounds; ++i) pipeline.execute_iteration();
    pipeline.synchronize(patience);
    CHECK(is_right(2, 3));
    pipeline.set_work("right", scaled(7));
    for (int i = 0; i < rounds; ++i) pipeline.execute_iteration();
    pipeline.synchronize(patience);
    CHECK(is_right(2, 7));
    int iterations = 0;
    pipeline.read_buffer("iterations", &iterations, sizeof iterations);
    CHECK(iterations == 2 * rounds);
    const PipelineStats stats = pipeline.stats();
    CHECK(stats.iterations == 2 * static_cast<std::uint64_t>(rounds));
    CHECK(stats.captures == (graph ? 2 : 0));
    CHECK(stats.mean_ms > 0);
    CHECK(stats.utilisation > 0);
    CHECK(stats.utilisation <= 1.0001);
  }
}

TEST_CASE("pipeline on a GPU: stages that need nothing of each other run one after the other") {
  if (!kernels_overlap()) return;
  for (const bool graph : {false, true}) {
    CAPTURE(graph);
    PipelineStageManager pipeline(make_gpu_stream_device(0), {.graph = graph});
    Values counts(MemoryKind::device, 2);
    const StageWork meets = [at = counts.data()](const StageCall& call) {
      meet<<<1, 1, 0, stream_of(call.target)>>>(at, 2, at + 1);
      launched();
    };
    pipeline.add_stage({"left", {}, {}, {}, meets});
    pipeline.add_stage({"right", {}, {}, {}, meets});
    pipeline.execute_iteration();
    pipeline.synchronize(patience);
    CHECK(counts.download()[1] == 2);
  }
}

TEST_CASE("pipeline on a GPU: a launch that fails while captured breaks the pipeline") {
  PipelineStageManager pipeline(make_gpu_stream_device(0), {.name = "flow", .graph = true});
  Values value(MemoryKind::device, 1);
  bool bad = true;
  for (const char* name : {"a", "b", "c"}) {
    pipeline.add_stage({name, {}, {}, {}, [&](const StageCall& call) {
                          if (bad) throw std::runtime_error("not now");
                          add<<<1, 1, 0, stream_of(call.target)>>>(value.data(), 1);
                          launched();
                        }});
  }
  CHECK_THROWS_WITH_AS(pipeline.execute_iteration(), "pipeline 'flow', stage 'a': not now", Error);
  bad = false;
  for (int i = 0; i < 5; ++i) pipeline.execute_iteration();
  pipeline.synchronize(patience);
  CHECK(value.download()[0] == 15);
}

TEST_CASE("multi stream on a GPU: a wait queued before its record, or a barrier, does not wait") {
  constexpr std::size_t count = 1 << 20;
  MultiStreamCoordinator streams(
      make_gpu_stream_device(0),
      {.name = "solver",
       .streams = {{.name = "a"}, {.name = "b", .priority = StreamPriority::high}, {.name = "c"}}});
  Values in(MemoryKind::mapped, count), out(MemoryKind::mapped, count);
  Values a(MemoryKind::device, count), b(MemoryKind::device, count);
  for (std::size_t i = 0; i < count; ++i) in.data()[i] = static_cast<int>(i % 321);
  const int rounds = brief_or(2, 30);
  for (int round = 1; round <= rounds; ++round) {
    StreamSchedule schedule;
    schedule.wait("b", "up").run("b", "scale", scaling(a.data(), b.data(), count, round));
    schedule.copy("a", "up", a.data(), in.data(), count * sizeof(int)).record("a", "up");
    schedule.barrier();
    schedule.copy("c", "down", out.data(), b.data(), count * sizeof(int));
    std::atomic<int> calls = 0;
    streams.execute(schedule, [&](std::exception_ptr error) {
      CHECK(error == nullptr);
      CHECK(cudaDeviceSynchronize() == cudaSuccess);  // callbacks may call CUDA
      ++calls;
    });
    streams.synchronize(patience);
    CHECK(calls == 1);
    bool right = true;
    for (std::size_t i = 0; i < count; ++i) right = right && out.data()[i] == in.data()[i] * round;
    CHECK(right);
  }
}

TEST_CASE("multi stream on a GPU: parallel work runs one after the other, unseen by the watchdog") {
  if (!kernels_overlap()) return;
  Values counts(MemoryKind::device, 2);
  KernelDoor door;
  MultiStreamCoordinator streams(
      make_gpu_stream_device(0),
      {.name = "solver", .streams = {{.name = "a"}, {.name = "b"}, {.name = "c"}}});
  const StreamWork meets = [at = counts.data()](StreamTarget target) {
    meet<<<1, 1, 0, stream_of(target)>>>(at, 3, at + 1);
    launched();
  };
  const std::vector<NamedWork> works(3, NamedWork{"meet", meets});
  streams.execute_parallel(works);
  streams.synchronize(patience);
  CHECK(counts.download()[1] == 3);

  StreamSchedule schedule;
  schedule.run("a", "factor", door.work()).record("a", "factored");
  schedule.wait("b", "factored").run("b", "solve", [](StreamTarget) {});
  streams.execute(schedule);
  CHECK_THROWS_AS(streams.synchronize(1ms), TimeoutError);
  const auto standing = streams.watchdog();
  CHECK(standing[0].at == "stream 'a' runs 'factor'");
  CHECK(standing[1].waits_for == "factored");
  CHECK(standing[1].event_stream == "a");
  CHECK(standing[2].at.empty());
  door.open();
  streams.synchronize(patience);
}

}  // namespace
}  // namespace aatgs
