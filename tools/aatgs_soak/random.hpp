// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "messages.hpp"

namespace aatgs::soak {

/// Repeatable random numbers (SplitMix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return mix(state_ += golden); }
  /// 0 to `end` - 1; `end` fits 32 bits.
  std::uint64_t below(std::uint64_t end) { return ((next() >> 32) * end) >> 32; }
  /// Both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T, std::size_t N>
  const T& pick(const T (&choices)[N]) {
    return choices[below(N)];
  }

 private:
  std::uint64_t state_;
};

}  // namespace aatgs::soak
