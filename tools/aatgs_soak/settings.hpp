// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <string>

namespace aatgs::soak {

/// How much of each part to run; 0: none of it.
struct Counts {
  std::uint64_t block = 1'000'000'000;  ///< configs
  std::uint64_t grid = 100'000'000;     ///< configs
  std::uint64_t cycles = 2000;          ///< contexts made and ended
  std::uint64_t aborts = 3000;          ///< memory grows in steps, some after 2,000 (H200)
  std::uint64_t kills = 10;             ///< processes
  std::uint64_t tasks = 1'000'000'000;
};

/// What the command line asks for.
struct Settings {
  ExecutorKind executor = ExecutorKind::automatic;  ///< of the streams; `resolve` settles it
  int device = 0;
  std::uint64_t seed = 1;
  Counts counts;
  double seconds = 3600;          ///< most that one part may take
  double stall_seconds = 30;      ///< without progress, after which it is stuck
  std::uint64_t growth_mib = 16;  ///< most by which memory in use may grow during a part
};

}  // namespace aatgs::soak
