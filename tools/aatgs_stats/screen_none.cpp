// SPDX-License-Identifier: Apache-2.0
#include "screen.hpp"

namespace aatgs {

std::unique_ptr<Screen> Screen::open() {
  return nullptr;
}

}  // namespace aatgs
