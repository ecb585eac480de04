// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstdint>
#include <cuda/atomic>

namespace aatgs::coloring {

/// Adds without a lock. Whole numbers, so the result does not depend on who came first.
AATGS_HOST_DEVICE inline void atomic_add(std::int32_t& cell, std::int32_t amount) {
#if defined(__CUDA_ARCH__)
  atomicAdd(&cell, amount);  // the compiler sees whether the cell lies in shared memory
#else
  cuda::atomic_ref<std::int32_t, cuda::thread_scope_device>(cell).fetch_add(
      amount, cuda::memory_order_relaxed);
#endif
}

/// A whole-numbered quantity of the vertices as Haar means over a matching hierarchy: a pair (a, b)
/// of a level has the mean (a + b) / 2 and the details +-(a - b) / 2, a node without partner passes
/// its value up. Means are kept, a detail is value minus mean; both are exact fixed-point numbers.
/// A view: it owns nothing.
struct HaarField {
  static constexpr std::int32_t fraction_bits = 12;  ///< halvings that stay exact
  static constexpr std::int32_t one = 1 << fraction_bits;

  const std::uint32_t* parent = nullptr;  ///< [nodes], see MatchingHierarchy
  const std::uint8_t* paired = nullptr;   ///< [nodes]
  std::int32_t* mean = nullptr;           ///< [nodes], unit 1 / one

  /// The vertex' quantity grows by `amount` (or shrinks): its means follow on all levels. Safe
  /// beside other calls.
  AATGS_HOST_DEVICE void add(std::uint32_t vertex, std::int32_t amount) const {
    std::int32_t change = amount * one;
    for (std::uint32_t node = vertex;; node = parent[node]) {
      atomic_add(mean[node], change);
      if (parent[node] == node) break;
      change >>= paired[node];  // exact, so it halves negative numbers too
    }
  }

  /// How far the node lies above the mean of its pair, unit 1 / one; 0 without a partner.
  AATGS_HOST_DEVICE std::int32_t detail(std::uint32_t node) const {
    return mean[node] - mean[parent[node]];
  }
};

}  // namespace aatgs::coloring
