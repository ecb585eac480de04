// SPDX-License-Identifier: Apache-2.0
#include "parts.hpp"

#include "part_runner.hpp"

namespace aatgs::soak {

namespace {

PartResult part_of(const std::string& name, const std::string& unit, std::uint64_t goal) {
  PartResult part;
  part.name = name;
  part.unit = unit;
  part.goal = goal;
  return part;
}

Piece run_piece(const Soak& soak, const SegmentPlan& plan) {
  return {run_segment(plan, soak.make, soak.watch), describe(plan)};
}

/// The same numbers for a part, whichever others are run.
Random random_of(const Soak& soak, std::uint64_t part) {
  return Random(mix(soak.settings.seed) + part);
}

}  // namespace

PartResult soak_stream(const Soak& soak, Scope scope, std::uint64_t goal) {
  Random random = random_of(soak, scope == Scope::block ? 1 : 2);
  const std::string name(to_string(scope));
  return run_part(soak, part_of(name, "configs", goal), [&](std::uint64_t left) {
    Piece piece = run_piece(soak, draw_stream(random, soak.settings, scope, left, goal));
    piece.done = piece.tally.configs;
    return piece;
  });
}

PartResult soak_cycles(const Soak& soak, std::uint64_t goal) {
  Random random = random_of(soak, 3);
  return run_part(soak, part_of("cycles", "contexts", goal), [&](std::uint64_t) {
    return run_piece(soak, draw_cycle(random, soak.settings));
  });
}

PartResult soak_aborts(const Soak& soak, std::uint64_t goal) {
  Random random = random_of(soak, 4);
  return run_part(soak, part_of("aborts", "aborts", goal), [&](std::uint64_t) {
    return run_piece(soak, draw_abort(random, soak.settings));
  });
}

}  // namespace aatgs::soak
