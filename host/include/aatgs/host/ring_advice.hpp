// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/execution_statistics.hpp>
#include <string>

namespace aatgs {

/// What to do about a ring that was used so: by its peak, 40 to 80 % is ideal, under 20 % the host
/// should batch more (or the ring shrink), over 90 % it should be enlarged. One short sentence.
std::string ring_advice(const RingUtilization& ring);

}  // namespace aatgs
