// SPDX-License-Identifier: Apache-2.0
// In which widths steps are tried. Each road is measured in that in which it is fastest.
#pragma once

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "driver.cuh"
#include "lean_road.cuh"
#include "samples.hpp"

namespace aatgs::bench {

inline unsigned count_sms(int device) {
  int sms = 0;
  AATGS_CUDA(cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device),
             "asking for the number of SMs");
  return static_cast<unsigned>(sms);
}

/// In block scope one block, in grid scope so many on each SM.
template <class Step>
Setup<Step> make_setup(const Step& step, Scope scope, int device, const OwnShape& shape) {
  const unsigned blocks = scope == Scope::grid ? shape.blocks_per_sm * count_sms(device) : 1;
  return {step, scope, blocks, shape.threads, device};
}

/// What the others' kernels are tried in.
template <class Step>
std::vector<Setup<Step>> other_setups(const Step& step, Scope scope, int device) {
  std::vector<Setup<Step>> setups;
  for (const unsigned threads : {64U, 128U, 256U, 512U, 768U, 1024U}) {
    for (const unsigned per_sm : {1U, 2U, 4U}) {
      if (per_sm > 1 && (scope == Scope::block || per_sm * threads > 2048)) continue;
      setups.push_back(make_setup(step, scope, device, {threads, per_sm}));
    }
  }
  return setups;
}

/// And our own.
template <class Step>
std::vector<Setup<Step>> own_setups(const Step& step, Scope scope, const ContextOptions& options) {
  std::vector<Setup<Step>> setups;
  for (const OwnShape& shape : Step::own_shapes) {
    const bool several = shape.blocks_per_sm > 1;
    if (several && (scope == Scope::block || options.workers != 0)) continue;
    setups.push_back(make_setup(step, scope, options.device, shape));
    if (several) setups.back().workers = setups.back().blocks;
  }
  return setups;
}

inline std::string describe_width(unsigned blocks, unsigned threads, Scope scope) {
  const std::string count = scope == Scope::grid ? std::to_string(blocks) + " " : "";
  return ", " + count + "blocks of " + std::to_string(threads);
}

/// Microseconds per config, roughly.
inline double try_road(BenchRoad& road, std::uint32_t work, unsigned depth) {
  Driver driver(road);
  driver.set_work(work);
  driver.settle(depth);
  const double us = figure({}, "us", "", driver.fed(depth, 0.01)).p50;
  driver.finish();
  return us;
}

/// The setup in which `us_of` is least. One that does not fit (OptionError) does not count.
template <class Step, class UsOf>
Setup<Step> fastest_of(const std::vector<Setup<Step>>& setups, const UsOf& us_of) {
  if (setups.size() == 1) return setups.front();
  const Setup<Step>* best = nullptr;
  double best_us = std::numeric_limits<double>::infinity();
  for (const Setup<Step>& setup : setups) {
    try {
      const double us = us_of(setup);
      if (us < best_us) best = &setup;
      best_us = std::min(best_us, us);
    } catch (const OptionError&) {
    }
  }
  if (best == nullptr) throw Error("no width of the step fits this GPU");
  return *best;
}

}  // namespace aatgs::bench
