// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "load.hpp"

namespace aatgs::soak {

/// How a context comes to its end.
enum class Ending { drain, abort, destructor };

/// The life of one context.
struct SegmentPlan {
  LoadPlan load;  ///< of each port; its configs are shared out among them
  Ending ending = Ending::drain;
  bool ends_under_load = false;         ///< port 0 ends it when it is done, while the others go on
  std::chrono::nanoseconds run_for{0};  ///< then all break off; 0: when the load is done
  std::chrono::nanoseconds rest_before_end{0};
  /// A thread that loads no port asks for the abort, after `run_for`; the load goes on till then.
  bool ends_from_outside = false;
  std::uint64_t seed = 0;
};

/// All that decides what happens in it, in words.
std::string describe(const SegmentPlan& plan);

/// Makes a context, loads each of its ports from a thread of its own, ends it, and checks that
/// everything is accounted for.
Tally run_segment(const SegmentPlan& plan, const ContextMaker& make, Watch& watch);

}  // namespace aatgs::soak
