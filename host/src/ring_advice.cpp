// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/ring_advice.hpp>

namespace aatgs {

std::string ring_advice(const RingUtilization& ring) {
  if (ring.peak > 0.9) return "enlarge to " + std::to_string(2 * ring.slots) + " slots";
  if (ring.peak > 0.8) return "nearly full at its peak";
  if (ring.peak >= 0.4) return "ideal";
  if (ring.peak >= 0.2) return "fine";
  return "batch more, or shrink the ring";
}

}  // namespace aatgs
