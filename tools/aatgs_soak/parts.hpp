// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "draw.hpp"
#include "memory_series.hpp"

namespace aatgs::soak {

/// What one part came to.
struct PartResult {
  std::string name;
  std::string unit;
  std::uint64_t goal = 0;
  std::uint64_t done = 0;  ///< of `unit`; less than the goal if the time was up or after an error
  Tally tally;
  double seconds = 0;
  MemorySeries device;  ///< empty without a GPU
  MemorySeries host;
};

/// What all parts need.
struct Soak {
  Settings settings;
  ContextMaker make;
  Watch& watch;
};

/// Configs in one scope through contexts of all kinds.
PartResult soak_stream(const Soak& soak, Scope scope, std::uint64_t goal);
/// Contexts made and ended in all ways.
PartResult soak_cycles(const Soak& soak, std::uint64_t goal);
/// Aborts at random moments.
PartResult soak_aborts(const Soak& soak, std::uint64_t goal);
/// Processes killed while they keep the executor busy, each followed by a clean run here.
PartResult soak_killed(const Soak& soak, std::uint64_t goal);

/// The process that is to be killed: keeps the executor busy, and says so on standard output. Ends
/// by itself after a minute, or with the process that started it.
int be_killed(const Soak& soak, Scope scope);

}  // namespace aatgs::soak
