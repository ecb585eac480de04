// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/host_memory.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstdint>

namespace aatgs {

/// What the host asks of the resident side; a plain store, never a CUDA call.
enum class Command : std::uint32_t {
  run = 0,
  leave = 1,  ///< run what is queued, then leave
  abort = 2,  ///< leave at the next check; queued configs stay undone
  park = 3,   ///< leave as after a long idle time, at the next moment without work
  yield = 4,  ///< leave between two configs, to come back; among the workers only
};

/// What the resident side says of itself, together with the number of the launch it speaks of.
enum class Presence : std::uint32_t {
  starting = 0,
  running = 1,
  parking = 2,  ///< it is leaving, or has left, until a launch with a higher number comes
};

/// Where a device wait gave up; see `HangRecord`.
enum class WaitPlace : std::uint32_t { none = 0, grid_barrier = 1 };

/// Left in mapped memory by a device wait that passed its deadline. Readable while the GPU is
/// wedged. `place` is written last.
struct HangRecord {
  std::uint64_t ticket;    ///< the config at work
  std::uint64_t found;     ///< what the wait saw
  std::uint64_t expected;  ///< what it waited for
  std::uint32_t block;     ///< which block
  WaitPlace place;         ///< `none` while there is no record
};

/// The words that host and resident side share besides the rings. Each has one writer, and words of
/// different writers lie on different lines.
struct ControlBlock {
  alignas(line_bytes) std::uint32_t command;   ///< host writes; `Command`
  alignas(line_bytes) std::uint32_t presence;  ///< device writes; launch << 2 | `Presence`
  alignas(line_bytes) HangRecord hang;         ///< device writes, once
};

constexpr std::uint32_t pack_presence(std::uint32_t launch, Presence presence) {
  return (launch << 2) | static_cast<std::uint32_t>(presence);
}

constexpr Presence presence_of(std::uint32_t packed) {
  return static_cast<Presence>(packed & 3U);
}

/// A worker's own counters in shared memory, for the lossy telemetry policies: with those the ring
/// alone cannot tell the host that a config is done.
struct alignas(16) WorkerCounters {
  std::uint64_t finished;  ///< configs done by this worker
  std::uint64_t dropped;   ///< telemetries it did not write because the slot was unread
};

/// Relaxed load of a word that the other side writes.
template <class T>
AATGS_HOST_DEVICE inline T load_shared(const T* word) {
#if defined(__CUDA_ARCH__)
  T value;
  if constexpr (sizeof(T) == 4) {
    asm volatile("ld.relaxed.sys.global.b32 %0, [%1];" : "=r"(value) : "l"(word) : "memory");
  } else {
    asm volatile("ld.relaxed.sys.global.b64 %0, [%1];" : "=l"(value) : "l"(word) : "memory");
  }
  return value;
#else
  return host_memory::load_word(word);
#endif
}

/// Store of a word that the other side reads. On the GPU it is relaxed: order it with a fence where
/// it stands for more than itself.
template <class T>
AATGS_HOST_DEVICE inline void store_shared(T* word, T value) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 4) {
    asm volatile("st.relaxed.sys.global.b32 [%0], %1;" ::"l"(word), "r"(value) : "memory");
  } else {
    asm volatile("st.relaxed.sys.global.b64 [%0], %1;" ::"l"(word), "l"(value) : "memory");
  }
#else
  host_memory::store_word(word, value);
#endif
}

}  // namespace aatgs
