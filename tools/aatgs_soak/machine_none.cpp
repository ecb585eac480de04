// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

namespace aatgs::soak {

std::optional<std::uint64_t> device_bytes(int) {
  return std::nullopt;
}

std::string driver_version() {
  return "none";
}

}  // namespace aatgs::soak
