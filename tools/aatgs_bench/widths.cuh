// SPDX-License-Identifier: Apache-2.0
// In which widths steps are tried. Each road is measured in that in which it is fastest.
#pragma once

#include <algorithm>
#include <iterator>
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

/// Microseconds per config, tried for `seconds`.
inline double try_road(BenchRoad& road, std::uint32_t work, unsigned depth, double seconds) {
  Driver driver(road);
  driver.set_work(work);
  driver.settle(depth);
  const double us = figure({}, "us", "", driver.fed(depth, seconds)).p50;
  driver.finish();
  return us;
}

/// A setup, and the microseconds per config in it.
template <class Step>
struct Tried {
  Setup<Step> setup;
  double us;
};

/// The fastest first. A setup that does not fit (OptionError) is left out; if none does, that is an
/// error.
template <class Step, class UsOf>
std::vector<Tried<Step>> try_setups(const std::vector<Setup<Step>>& setups, double seconds,
                                    const UsOf& us_of) {
  std::vector<Tried<Step>> tried;
  for (const Setup<Step>& setup : setups) {
    try {
      tried.push_back({setup, us_of(setup, seconds)});
    } catch (const OptionError&) {
    }
  }
  if (tried.empty()) throw Error("no width of the step fits this GPU");
  std::sort(tried.begin(), tried.end(), [](const auto& a, const auto& b) { return a.us < b.us; });
  return tried;
}

/// The setup in which `us_of(setup, seconds)` is least. Those that are within 5 % after a first
/// look are tried for longer: of such a first look alone, a road was left with a width in which it
/// took 3 % more (a known batch that streams for 3 us a step, all SMs of an H200).
template <class Step, class UsOf>
Setup<Step> fastest_of(const std::vector<Setup<Step>>& setups, const UsOf& us_of) {
  if (setups.size() == 1) return setups.front();
  const std::vector<Tried<Step>> tried = try_setups(setups, 0.01, us_of);
  std::vector<Setup<Step>> close;
  for (const Tried<Step>& some : tried) {
    if (some.us <= 1.05 * tried.front().us) close.push_back(some.setup);
  }
  return close.size() == 1 ? close.front() : try_setups(close, 0.03, us_of).front().setup;
}

}  // namespace aatgs::bench
