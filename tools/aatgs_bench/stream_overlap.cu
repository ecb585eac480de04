// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/stream/async_coordinator.hpp>
#include <aatgs/host/stream/multi_stream_coordinator.hpp>
#include <aatgs/host/stream/pipeline_stage_manager.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stream_overlap.hpp"
#include "stream_spin.cuh"

namespace aatgs::bench {

namespace {

using namespace std::chrono_literals;
using Device = std::shared_ptr<StreamDevice>;

constexpr auto patience = 30s;
constexpr int samples_each = 5;

__global__ void touch_kernel(int* value) {
  *value += 1;
}

/// Both sides of a transfer.
struct Sides {
  explicit Sides(int device, std::size_t bytes)
      : host(MemoryKind::mapped, bytes, device), gpu(MemoryKind::device, bytes, device) {}
  Memory host, gpu;
};

/// Three streams and as many events as the coordinator uses: one an operation.
struct RawCalls {
  explicit RawCalls(int device) {
    AATGS_CUDA(cudaSetDevice(device), "selecting the device of a benchmark");
    for (cudaStream_t& stream : streams) {
      AATGS_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
    }
    for (cudaEvent_t& event : events) {
      AATGS_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    }
  }
  ~RawCalls() {
    for (cudaStream_t stream : streams) cudaStreamDestroy(stream);
    for (cudaEvent_t event : events) cudaEventDestroy(event);
  }
  RawCalls(const RawCalls&) = delete;
  RawCalls& operator=(const RawCalls&) = delete;

  void chain(void* gpu, void* host, std::size_t bytes) {
    AATGS_CUDA(cudaMemcpyAsync(gpu, host, bytes, cudaMemcpyDefault, streams[0]), "copying");
    AATGS_CUDA(cudaEventRecord(events[0], streams[0]), "recording");
    AATGS_CUDA(cudaStreamWaitEvent(streams[1], events[0], 0), "waiting");
    touch_kernel<<<1, 1, 0, streams[1]>>>(static_cast<int*>(gpu));
    AATGS_CUDA(cudaGetLastError(), "launching");
    AATGS_CUDA(cudaEventRecord(events[1], streams[1]), "recording");
    AATGS_CUDA(cudaStreamWaitEvent(streams[2], events[1], 0), "waiting");
    AATGS_CUDA(cudaMemcpyAsync(host, gpu, bytes, cudaMemcpyDefault, streams[2]), "copying");
    AATGS_CUDA(cudaEventRecord(events[2], streams[2]), "recording");
  }

  cudaStream_t streams[3]{};
  cudaEvent_t events[3]{};
};

/// Of one operation, over batches of chains that the GPU need not keep up with.
template <class Chain, class Settle>
std::vector<double> sample_chains(const Plan& plan, Chain chain, Settle settle) {
  constexpr int chains = 100;
  constexpr int operations = 3;
  std::vector<double> samples;
  const std::uint64_t all = host_now_ns();
  for (int i = 0; i < 2 * samples_each || us_since(all) < plan.seconds * 1e6; ++i) {
    const std::uint64_t begin = host_now_ns();
    for (int n = 0; n < chains; ++n) chain();
    const double us = us_since(begin) / (chains * operations);
    settle();
    if (i >= samples_each) samples.push_back(us);
  }
  return samples;
}

void measure_coordinator(const Plan& plan, Report& report, const Device& device) {
  if (!plan.wants("stream/coordinator") && !plan.wants("stream/raw_calls")) return;
  constexpr std::size_t bytes = 256;
  Sides sides(plan.context.device, bytes);
  void* gpu = sides.gpu.data();
  void* host = sides.host.data();
  RawCalls raw(plan.context.device);
  report.add(figure({.group = "stream", .road = "raw_calls"}, "us",
                    "host's time for an operation by CUDA's calls",
                    sample_chains(
                        plan, [&] { raw.chain(gpu, host, bytes); },
                        [] { AATGS_CUDA(cudaDeviceSynchronize(), "waiting"); })));
  AsyncCoordinator coordinator(device, {.name = "benchmark"});
  const StreamWork touch = [value = static_cast<int*>(gpu)](StreamTarget target) {
    touch_kernel<<<1, 1, 0, native(target)>>>(value);
  };
  std::vector<FinishedOperation> finished(1024);
  report.add(figure({.group = "stream", .road = "coordinator"}, "us",
                    "the same by AsyncCoordinator",
                    sample_chains(
                        plan,
                        [&] {
                          const auto up = coordinator.queue_upload(gpu, host, bytes);
                          const auto run = coordinator.queue_compute(touch, {up});
                          (void)coordinator.queue_download(host, gpu, bytes, {run});
                        },
                        [&] {
                          coordinator.synchronize_all(patience);
                          (void)coordinator.poll(finished);
                        })));
}

void measure_phases(const Plan& plan, Report& report, const Device& device) {
  if (!plan.wants("stream/phases")) return;
  constexpr double phase_us = 1000;
  constexpr int each = 20;
  const unsigned blocks = gpu_multiprocessors(plan.context.device) / 4;
  const StreamWork phase = spin(phase_us, blocks, 1024);
  MultiStreamOptions options;
  for (const char* name : {"first", "second", "third", "fourth"}) {
    options.streams.push_back({.name = name, .metrics = false});
  }
  MultiStreamCoordinator streams(device, options);
  const std::vector<NamedWork> phases{{"a", phase}, {"b", phase}, {"c", phase}, {"d", phase}};
  Stream one(device, {.name = "sequential", .metrics = false});
  std::vector<double> parallel, sequential;
  for (int i = 0; i <= each; ++i) {
    std::uint64_t begin = host_now_ns();
    for (const NamedWork& work : phases) one.run(work.work);
    one.synchronize(patience);
    sequential.push_back(us_since(begin));
    begin = host_now_ns();
    streams.execute_parallel(phases);
    streams.synchronize(patience);
    parallel.push_back(us_since(begin));
  }
  const std::string what = "four kernels of 1 ms, each on a quarter of the SMs, ";
  report.add(figure({.group = "stream", .road = "phases_sequential"}, "us", what + "in one stream",
                    std::move(sequential)));
  report.add(figure({.group = "stream", .road = "phases_parallel"}, "us", what + "in four",
                    std::move(parallel)));
}

/// Of one iteration.
std::vector<double> sample_pipeline(const Device& device, bool graph) {
  constexpr int stages = 10;
  constexpr int iterations = 500;
  PipelineOptions options;
  options.graph = graph;
  PipelineStageManager pipeline(device, options);
  for (int i = 0; i < stages; ++i) {
    const std::string own = "buffer " + std::to_string(i);
    pipeline.add_buffer(own, 256);
    PipelineStage stage;
    stage.name = "stage " + std::to_string(i);
    if (i > 0) stage.inputs.push_back("buffer " + std::to_string(i - 1));
    stage.outputs.push_back(own);
    stage.work = [](const StageCall& call) {
      touch_kernel<<<1, 1, 0, native(call.target)>>>(call.output<int>(0));
    };
    pipeline.add_stage(std::move(stage));
  }
  std::vector<double> samples;
  for (int i = 0; i <= samples_each; ++i) {
    const std::uint64_t begin = host_now_ns();
    for (int n = 0; n < iterations; ++n) (void)pipeline.execute_iteration();
    pipeline.synchronize(patience);
    if (i > 0) samples.push_back(us_since(begin) / iterations);
  }
  return samples;
}

void measure_pipeline(const Plan& plan, Report& report, const Device& device) {
  if (!plan.wants("stream/pipeline")) return;
  const std::string what = "an iteration of ten small stages, ";
  report.add(figure({.group = "stream", .road = "pipeline_queued"}, "us", what + "queued again",
                    sample_pipeline(device, false)));
  report.add(figure({.group = "stream", .road = "pipeline_graph"}, "us", what + "as a graph",
                    sample_pipeline(device, true)));
}

}  // namespace

void measure_stream_overlap(const Plan& plan, Report& report) {
  const Device device = make_gpu_stream_device(plan.context.device);
  measure_coordinator(plan, report, device);
  measure_phases(plan, report, device);
  measure_pipeline(plan, report, device);
}

}  // namespace aatgs::bench
