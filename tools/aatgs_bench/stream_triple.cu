// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/memory.hpp>
#include <aatgs/host/stream/gpu_triple_buffer.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raw_triple.hpp"
#include "stream_spin.cuh"
#include "stream_triple.hpp"

namespace aatgs::bench {

namespace {

using namespace std::chrono_literals;
using Byte = unsigned char;
using Device = std::shared_ptr<StreamDevice>;
using Buffer = GpuTripleBuffer<Byte>;

constexpr auto patience = 30s;
constexpr double patience_us = 30e6;
constexpr std::size_t transfer_bytes = std::size_t{64} << 20;
constexpr int rounds = 3;

/// Both sides of the transfers of a step in one stream.
struct Sides {
  Sides(int device, std::size_t bytes)
      : host(MemoryKind::mapped, bytes, device), gpu(MemoryKind::device, bytes, device) {}
  Memory host, gpu;
};

/// Of one transfer, up and down on average.
double transfer_us(Stream& stream, Sides& sides, std::size_t bytes) {
  constexpr int times = 10;
  const auto pass = [&] {
    const std::uint64_t begin = host_now_ns();
    for (int i = 0; i < times; ++i) {
      stream.copy(sides.gpu.data(), sides.host.data(), bytes);
      stream.copy(sides.host.data(), sides.gpu.data(), bytes);
    }
    stream.synchronize(patience);
    return us_since(begin) / (2 * times);
  };
  (void)pass();
  return pass();
}

struct TripleCase {
  std::string name;
  std::string what;
  double kernel_us;
  std::size_t bytes;
  int steps;             ///< so many that what begins and ends the overlap is under 0.5 %
  int sequential_steps;  ///< without overlap fewer will do
  bool four_slots;       ///< whether a fourth slot is tried too
};

double sequential_step_us(Stream& stream, Sides& sides, const TripleCase& of) {
  const StreamWork work = spin(of.kernel_us);
  const std::uint64_t begin = host_now_ns();
  for (int i = 0; i < of.sequential_steps; ++i) {
    stream.copy(sides.gpu.data(), sides.host.data(), of.bytes);
    stream.run(work);
    stream.copy(sides.host.data(), sides.gpu.data(), of.bytes);
  }
  stream.synchronize(patience);
  return us_since(begin) / of.sequential_steps;
}

double triple_step_us(Buffer& buffer, unsigned slots, double kernel_us, int steps) {
  const StreamWork work = spin(kernel_us);
  const auto collect = [&] {  // as fast as it can be: `collect` sleeps at times
    const std::uint64_t since = host_now_ns();
    while (buffer.try_collect().is_empty()) {
      if (us_since(since) > patience_us) throw TimeoutError("a step of a triple buffer hangs");
    }
  };
  const std::uint64_t begin = host_now_ns();
  for (int i = 0; i < steps; ++i) {
    if (buffer.in_flight() == slots) collect();
    auto slot = buffer.acquire(patience);
    buffer.submit(std::move(slot), [&work](StreamTarget target, Byte*, Byte*) { work(target); });
  }
  while (buffer.in_flight() != 0) collect();
  return us_since(begin) / steps;
}

/// Of `rounds` runs on buffers of their own each, as where those lie bears on the copies.
std::vector<double> sample_triple(const Device& device, const TripleCase& of, unsigned slots) {
  std::vector<double> samples;
  for (int i = 0; i < rounds; ++i) {
    TripleBufferOptions options;
    options.slots = slots;
    Buffer buffer(device, of.bytes, of.bytes, options);
    (void)triple_step_us(buffer, slots, of.kernel_us, 6);
    samples.push_back(triple_step_us(buffer, slots, of.kernel_us, of.steps));
  }
  return samples;
}

std::vector<double> sample_raw(int ordinal, const TripleCase& of, unsigned slots) {
  std::vector<double> samples;
  for (int i = 0; i < rounds; ++i) {
    samples.push_back(raw_triple_step_us(ordinal, of.bytes, of.kernel_us, of.steps, slots));
  }
  return samples;
}

std::vector<double> sample_sequential(const Device& device, int ordinal, const TripleCase& of) {
  Stream stream(device, {.name = "sequential", .metrics = false});
  std::vector<double> samples;
  for (int i = 0; i < rounds; ++i) {
    Sides sides(ordinal, of.bytes);
    samples.push_back(sequential_step_us(stream, sides, of));
  }
  return samples;
}

std::vector<TripleCase> cases_for(double transfer) {
  const auto two_ms = static_cast<std::size_t>(2000 / transfer * transfer_bytes);
  const std::string step = "upload, kernel, download; ";
  const std::string each = " of 64 MiB each way";
  return {{"1_1", step + "kernel as long as a transfer" + each, transfer, transfer_bytes, 600, 60,
           true},
          {"10_1", step + "kernel ten times a transfer" + each, 10 * transfer, transfer_bytes, 60,
           10, false},
          {"1_10", step + "kernel a tenth of a transfer" + each, transfer / 10, transfer_bytes, 400,
           60, true},
          {"2_5_2", step + "2, 5 and 2 ms", 5000, two_ms, 240, 20, false}};
}

}  // namespace

void measure_stream_triple(const Plan& plan, Report& report) {
  if (!plan.wants("stream/triple") && !plan.wants("stream/sequential")) return;
  const Device device = make_gpu_stream_device(plan.context.device);
  double each_us = 0;
  {
    Stream stream(device, {.name = "transfers", .metrics = false});
    Sides sides(plan.context.device, transfer_bytes);
    each_us = transfer_us(stream, sides, transfer_bytes);
  }
  const auto add = [&](const std::string& road, const TripleCase& of, const std::string& how,
                       std::vector<double> samples) {
    report.add(figure({.group = "stream", .road = road + "_" + of.name}, "us", of.what + "; " + how,
                      std::move(samples)));
  };
  for (const TripleCase& of : cases_for(each_us)) {
    add("sequential", of, "in one stream", sample_sequential(device, plan.context.device, of));
    add("triple", of, "by a triple buffer", sample_triple(device, of, 3));
    if (!of.four_slots) continue;
    add("triple4", of, "by one of four slots", sample_triple(device, of, 4));
    for (const unsigned slots : {3U, 4U}) {
      add("raw" + std::to_string(slots), of,
          "by CUDA's own calls, " + std::to_string(slots) + " slots",
          sample_raw(plan.context.device, of, slots));
    }
  }
}

}  // namespace aatgs::bench
