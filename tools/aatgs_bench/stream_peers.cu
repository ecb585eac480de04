// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/cuda_check.hpp>
#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/device_set.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "copies_between.hpp"
#include "stream_peers.hpp"

namespace aatgs::bench {

namespace {

struct Size {
  const char* suffix;
  const char* text;
  std::size_t bytes;
  unsigned copies;  ///< each way, for one sample
};

constexpr std::array sizes{Size{"", "64 MiB", std::size_t{64} << 20, 4},
                           Size{"_1mib", "1 MiB", std::size_t{1} << 20, 64}};

std::vector<double> sample(const Plan& plan, DeviceSet& set, const Size& size) {
  const auto least = static_cast<std::size_t>(plan.seconds * 200);
  CopiesBetween copies(set, size.bytes);
  copies.check();  // and warms up
  std::vector<double> gb_s;
  while (gb_s.size() < std::max<std::size_t>(5, least)) gb_s.push_back(copies.gb_s(size.copies));
  copies.check();
  return gb_s;
}

void measure_link(const Plan& plan, Report& report, std::array<int, 2> gpus, DeviceLink wanted) {
  const std::string road = "copy_between_gpus_" + std::string(to_string(wanted));
  DeviceSetOptions options;
  options.prefer_staged = wanted == DeviceLink::staged;
  DeviceSet set = DeviceSet::gpus(gpus, options);
  for (const Size& size : sizes) {
    const Case of{.group = "stream", .road = road + size.suffix};
    if (!plan.wants(of.name())) continue;
    if (set.link(0, 1) != wanted || set.link(1, 0) != wanted) {
      std::cerr << of.name() << ": left out, GPUs " << gpus[0] << " and " << gpus[1]
                << " reach each other's memory through the host alone\n";
      continue;
    }
    const std::string way = wanted == DeviceLink::peer ? "directly" : "through pinned memory";
    report.add(figure(of, "GB/s",
                      std::string(size.text) + " after " + size.text +
                          " from one GPU to another, then back, " + way,
                      sample(plan, set, size)));
  }
}

bool wants_any(const Plan& plan) {
  for (const DeviceLink link : {DeviceLink::peer, DeviceLink::staged}) {
    for (const Size& size : sizes) {
      const std::string road = "copy_between_gpus_" + std::string(to_string(link)) + size.suffix;
      if (plan.wants(Case{.group = "stream", .road = road}.name())) return true;
    }
  }
  return false;
}

}  // namespace

void measure_stream_peers(const Plan& plan, Report& report) {
  if (!wants_any(plan)) return;
  const int first = plan.context.device;
  const std::vector<int> all = all_gpus();
  const auto other = std::find_if(all.begin(), all.end(), [&](int gpu) { return gpu != first; });
  if (other == all.end()) {
    std::cerr << "stream/copy_between_gpus: left out, there is one GPU\n";
    return;
  }
  measure_link(plan, report, {first, *other}, DeviceLink::staged);
  measure_link(plan, report, {first, *other}, DeviceLink::peer);
  AATGS_CUDA(cudaSetDevice(first), "selecting the device of the benchmark again");
}

}  // namespace aatgs::bench
