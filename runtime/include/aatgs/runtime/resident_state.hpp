// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/granule.hpp>
#include <cstddef>
#include <cstdint>

namespace aatgs {

/// No ticket.
inline constexpr std::uint64_t no_ticket = ~std::uint64_t{0};

/// What workers watch while they wait for their tickets, on a line of its own.
struct alignas(line_bytes) Progress {
  std::uint64_t taken;     ///< first ticket + number of configs taken
  std::uint64_t finished;  ///< first ticket + number of configs run to their end
  Granule feed;            ///< `Feed` as the service block passed it on
};

/// How far the workers are with the configs of one port. It lies in their own memory (the GPU's, or
/// the host's for CPU threads) and outlives a launch, so that parking loses nothing.
struct PortState {
  alignas(line_bytes) std::uint64_t next_claim;  ///< block scope: what the next free worker claims
  Progress near;
  /// Block scope: the same for the many whose turn is far off, so that they do not delay those
  /// whose turn is near (with 4,223 workers on one line, p99 of a round trip was 4.2 us instead
  /// of 3.6, H200). `taken` is rounded down to a multiple of `far_step`, `finished` not kept.
  Progress far;

  static constexpr std::uint64_t far_step = 16;

  /// Before the first launch.
  static constexpr PortState starting_at(std::uint64_t first_ticket) {
    const Progress start{first_ticket, first_ticket, {first_ticket, 1}};
    return {first_ticket, start, start};
  }
};

/// The words of a grid barrier: arrivals in the high half, flags of `ArrivalFlag` counted in the
/// low half. Two, used in turn, so that the flags of one barrier cannot be read as the previous
/// one's.
struct BarrierWords {
  alignas(2 * line_bytes) std::uint64_t word[2][line_bytes / sizeof(std::uint64_t)];
};

/// One of several places for them, of which the fastest is chosen: each in a page of its own, and
/// at another offset there, so that they differ in their parts of the L2 cache.
struct BarrierPlace {
  BarrierWords words;
  std::byte apart[4096];
};

/// What the workers of one context share among themselves, in their own memory. All zero before the
/// first launch. Words that different workers hammer lie on different lines.
struct ResidentState {
  alignas(line_bytes) std::uint32_t order;  ///< `Command` as the service block passed it on

  std::uint32_t barrier_place;                     ///< resident kernel: the one that is chosen
  BarrierWords barrier;                            ///< of kernels that run one config
  alignas(line_bytes) std::uint32_t fail_code[2];  ///< grid scope: by parity of the step
  alignas(line_bytes) std::uint32_t exited;        ///< blocks that have left this launch
  std::uint32_t gave_up;  ///< a wait has passed its deadline and left the hang record
};

}  // namespace aatgs
