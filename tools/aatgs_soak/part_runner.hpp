// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "parts.hpp"

namespace aatgs::soak {

/// One piece of a part, and how much of the part's unit it was.
struct Piece {
  Tally tally;
  std::string about;  ///< in words, for the report of memory that grew
  std::uint64_t done = 1;
};

/// Runs pieces until the goal is met, an error is found or the time is up; looks at the memory in
/// use between them. `part`: its name, unit and goal. `next` gets what is left of the goal.
PartResult run_part(const Soak& soak, PartResult part,
                    const std::function<Piece(std::uint64_t left)>& next);

}  // namespace aatgs::soak
