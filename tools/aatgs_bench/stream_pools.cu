// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/stream/advanced_stream_pool.hpp>
#include <aatgs/host/stream/stream_ordered_allocator.hpp>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "stream_pools.hpp"
#include "stream_spin.cuh"

namespace aatgs::bench {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s;
constexpr unsigned streams = 4;
constexpr int jobs = 900;
constexpr double long_us = 2000;
constexpr double short_us = 50;
constexpr unsigned long_one_in = 9;
constexpr std::uint64_t arrival_ns = 100'000;
constexpr int rounds = 5;

/// Returns the mean completion, in us. The pool learns for itself how long the kinds take.
double run_jobs(const std::shared_ptr<StreamDevice>& device, StreamStrategy strategy) {
  AdvancedStreamPoolOptions options;
  options.strategy = strategy;
  options.least = options.most = streams;
  options.metrics = false;
  AdvancedStreamPool pool(device, options);
  std::mt19937 random(1);  // the same jobs for all
  const std::uint64_t begin = host_now_ns();
  for (int i = 0; i < jobs; ++i) {
    const bool is_long = random() % long_one_in == 0;
    while (host_now_ns() - begin < static_cast<std::uint64_t>(i) * arrival_ns) {
    }
    Workload work;
    work.kind = is_long ? WorkloadKind::compute : WorkloadKind::coordination;
    const auto lease = pool.shared(work);
    lease->run(spin(is_long ? long_us : short_us));
  }
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const StrategyMeasure measure = pool.measures()[static_cast<std::size_t>(strategy)];
    if (measure.jobs == jobs) return static_cast<double>(measure.mean_completion.count()) * 1e-3;
    if (std::chrono::steady_clock::now() > end) throw TimeoutError("a benchmark's jobs hang");
  }
}

void measure_strategies(const Plan& plan, Report& report,
                        const std::shared_ptr<StreamDevice>& device) {
  if (!plan.wants("stream/load_balanced") && !plan.wants("stream/round_robin")) return;
  std::vector<double> balanced, by_turns;
  (void)run_jobs(device, StreamStrategy::round_robin);  // loads the kernel
  for (int round = 0; round < rounds; ++round) {
    by_turns.push_back(run_jobs(device, StreamStrategy::round_robin));
    balanced.push_back(run_jobs(device, StreamStrategy::load_balanced));
  }
  const std::string what = "mean completion of long and short jobs on 4 streams, ";
  report.add(figure({.group = "stream", .road = "round_robin"}, "us", what + "by turns",
                    std::move(by_turns)));
  report.add(figure({.group = "stream", .road = "load_balanced"}, "us", what + "the least loaded",
                    std::move(balanced)));
}

/// Of `cycle`, in us, each sample over some of them.
template <class Cycle>
std::vector<double> sample_cycles(const Plan& plan, int each, Cycle cycle) {
  std::vector<double> samples;
  const std::uint64_t begin = host_now_ns();
  for (int i = 0; i < 10; ++i) cycle();
  while (samples.size() < 10 || static_cast<double>(host_now_ns() - begin) < plan.seconds * 1e9) {
    const std::uint64_t start = host_now_ns();
    for (int i = 0; i < each; ++i) cycle();
    samples.push_back(static_cast<double>(host_now_ns() - start) * 1e-3 / each);
  }
  return samples;
}

void cuda_cycle(std::size_t bytes) {
  void* data = nullptr;
  AATGS_CUDA(cudaMalloc(&data, bytes), "allocating memory of a benchmark");
  AATGS_CUDA(cudaFree(data), "freeing memory of a benchmark");
}

/// What the pool holds of the device's memory before and after a million cycles of all sizes.
void measure_growth(Report& report, StreamOrderedAllocator& allocator, Stream& stream,
                    const std::vector<std::size_t>& sizes) {
  const auto reserved_after = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::size_t bytes = sizes[static_cast<std::size_t>(i) % sizes.size()];
      allocator.free(stream, allocator.allocate(stream, bytes));
    }
    stream.synchronize(patience);
    return static_cast<double>(allocator.stats().pools.reserved) / (1 << 20);
  };
  const auto add = [&](const char* road, const char* what, int count) {
    report.add(figure({.group = "stream", .road = road}, "MiB", what, {reserved_after(count)}));
  };
  add("allocator_reserved_before", "memory of the pool after 1000 cycles of all sizes", 1000);
  add("allocator_reserved_after", "the same after 1,000,000 more", 1'000'000);
}

void measure_allocator(const Plan& plan, Report& report,
                       const std::shared_ptr<StreamDevice>& device) {
  if (!plan.wants("stream/allocator") && !plan.wants("stream/cuda_malloc")) return;
  Stream stream(device, {.name = "benchmark"});
  StreamOrderedAllocator allocator(device);
  const std::vector<std::pair<std::string, std::size_t>> sizes{
      {"4kib", 4U << 10}, {"1mib", 1U << 20}, {"64mib", 64U << 20}};
  std::vector<std::size_t> bytes_of_sizes;
  for (const auto& [name, bytes] : sizes) {
    bytes_of_sizes.push_back(bytes);
    report.add(figure({.group = "stream", .road = "cuda_malloc_" + name}, "us",
                      "cudaMalloc and cudaFree of " + std::to_string(bytes) + " bytes",
                      sample_cycles(plan, 1, [&, size = bytes] { cuda_cycle(size); })));
    report.add(figure({.group = "stream", .road = "allocator_" + name}, "us",
                      "the same by the stream-ordered allocator",
                      sample_cycles(plan, 100, [&, size = bytes] {
                        allocator.free(stream, allocator.allocate(stream, size));
                      })));
    stream.synchronize(patience);
  }
  measure_growth(report, allocator, stream, bytes_of_sizes);
}

}  // namespace

void measure_stream_pools(const Plan& plan, Report& report) {
  const auto device = make_gpu_stream_device(plan.context.device);
  measure_allocator(plan, report, device);
  measure_strategies(plan, report, device);
}

}  // namespace aatgs::bench
