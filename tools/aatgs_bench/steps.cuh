// SPDX-License-Identifier: Apache-2.0
// The steps that every road runs, and what goes to and from them.
#pragma once

#include <aatgs/device/primitives.cuh>
#include <aatgs/host/options.hpp>
#include <algorithm>
#include <cstdint>

namespace aatgs::bench {

/// A config that can be told apart at both of its ends.
template <std::size_t Bytes>
struct SizedConfig {
  std::uint32_t ticket;  ///< low half
  std::uint32_t work;    ///< unit: see the step
  std::uint32_t filler[Bytes / 4 - 3];
  std::uint32_t tail;  ///< `tail_of` the ticket
};
using BenchConfig = SizedConfig<256>;

struct BenchTelemetry {
  std::uint32_t ticket;
  std::uint32_t filler[14];
  std::uint32_t tail;
};

static_assert(sizeof(BenchConfig) == 256 && sizeof(BenchTelemetry) == 64);

constexpr std::uint32_t tail_of(std::uint64_t ticket) {
  return static_cast<std::uint32_t>(ticket) * 2654435761U + 1;
}

/// Answers with the two ends of the config: the telemetry proves that the whole config was there.
template <class Group, class Config>
__device__ void echo(Group& group, const Config& config, BenchTelemetry& out) {
  if (group.rank() != 0) return;
  out.ticket = config.ticket;
  out.tail = config.tail;
}

/// A width in which the library's own roads may run a step. The others' kernels have any.
struct OwnShape {
  unsigned threads;
  unsigned blocks_per_sm;  ///< grid scope
};

/// A step at one of its `own_shapes`.
template <class Step, unsigned Threads>
struct AtWidth : Step {
  static constexpr unsigned block_threads = Threads;
};

/// Spins on the GPU's timer for `work` nanoseconds.
struct SpinStep {
  static constexpr bool device_only = true;
  static constexpr bool grid_sync = false;
  static constexpr bool writes_memory = false;
  static constexpr unsigned block_threads = 64;
  static constexpr OwnShape own_shapes[] = {{block_threads, 1}, {1024, 1}};

  /// The length at which the best width for steps of `us` is looked for.
  static constexpr double tuned_at_us(double) { return 0; }
  /// For the `i`-th of the roads that take turns.
  [[nodiscard]] SpinStep elsewhere(std::uint32_t) const { return *this; }
  static std::uint32_t work(double us, Scope) { return static_cast<std::uint32_t>(us * 1e3); }

  template <class Group, class Config>
  __device__ void operator()(Group& group, const Config& config, BenchTelemetry& out) const {
    if (config.work != 0) {
      if (group.block_rank() == 0) {
        const std::uint64_t begin = device::timer_ns();
        while (device::timer_ns() - begin < config.work) {
        }
      }
      group.sync_block();
    }
    echo(group, config, out);
  }
};

/// The same, as if it wrote memory: the resident road then has a fence before the telemetry, as no
/// other road of block scope has.
struct WritingSpinStep : SpinStep {
  static constexpr bool writes_memory = true;
};

/// In every word that a `StreamStep` reads.
inline constexpr std::uint32_t stream_pattern = 0x01010101;

/// Reads `work` KiB of a large buffer, which holds `stream_pattern` in every word; each config
/// begins where the one before it ended, so that no cache helps.
struct StreamStep {
  static constexpr bool device_only = true;
  static constexpr bool grid_sync = false;
  static constexpr bool writes_memory = false;
  static constexpr OwnShape own_shapes[] = {{256, 1}, {512, 1}, {512, 2}, {768, 1}, {1024, 1}};
  static constexpr std::uint32_t batch = 8;  ///< loads on their way, on every road alike

  const uint4* data;
  std::uint32_t mask;  ///< elements - 1; a power of two of them
  std::uint32_t origin = 0;

  static constexpr double tuned_at_us(double us) { return std::min(us, 100.0); }
  /// For the `i`-th of the roads that take turns: each begins elsewhere, or one would find in the
  /// cache what another has just read.
  [[nodiscard]] StreamStep elsewhere(std::uint32_t i) const {
    return {data, mask, origin + i * (mask / 8 + 1)};
  }
  /// As much as one block, or the whole GPU, reads in about that time (H200).
  static std::uint32_t work(double us, Scope scope) {
    return static_cast<std::uint32_t>(us * (scope == Scope::grid ? 3000 : 30));
  }

  template <class Group, class Config>
  __device__ void operator()(Group& group, const Config& config, BenchTelemetry& out) const {
    const std::uint32_t count = config.work * 64;
    const std::uint32_t begin = origin + config.ticket * count;
    const std::uint32_t stride = group.size();
    std::uint32_t sum = 0;
    std::uint32_t seen = 0;
    // The loads are without conditions and the outer loop is not unrolled: else the compiler keeps
    // 4, 8 or 16 of them on their way as the kernel around the step happens to be, and roads differ
    // by that (144, 250 or 392 us for the same 30 MB in one block of an H200) rather than by what
    // they cost.
#pragma unroll 1
    for (std::uint32_t i = group.rank(); i < count; i += batch * stride) {
      uint4 values[batch];
#pragma unroll
      for (std::uint32_t k = 0; k < batch; ++k) {
        values[k] = data[(begin + min(i + k * stride, count - 1)) & mask];
      }
#pragma unroll
      for (std::uint32_t k = 0; k < batch; ++k) {
        const bool counts = i + k * stride < count;
        const uint4& v = values[k];
        sum += counts ? v.x + v.y + v.z + v.w : 0;
        seen += counts ? 1 : 0;
      }
    }
    if (sum != seen * 4 * stream_pattern) group.fail(1);
    echo(group, config, out);
  }
};

}  // namespace aatgs::bench
