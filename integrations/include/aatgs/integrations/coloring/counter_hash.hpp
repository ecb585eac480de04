// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace aatgs::coloring {

/// Random bits of a number: the same number gives the same bits on every machine, whatever thread
/// asks, in whatever order. The output function of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
AATGS_HOST_DEVICE constexpr std::uint64_t counter_hash(std::uint64_t number) {
  number += 0x9E3779B97F4A7C15U;
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9U;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EBU;
  return number ^ (number >> 31);
}

/// Random bits of a number within a stream, which is itself such a hash.
AATGS_HOST_DEVICE constexpr std::uint64_t counter_hash(std::uint64_t stream, std::uint64_t number) {
  return counter_hash(stream ^ (number * 0xD1342543DE82EF95U));
}

}  // namespace aatgs::coloring
