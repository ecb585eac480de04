// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <chrono>
#include <cstdint>

namespace aatgs {

/// Nanoseconds of the host's steady clock.
inline std::uint64_t host_now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

/// The processor's time stamp counter: a reading takes 12 ns where the steady clock's takes 21 (on
/// a virtual Xeon), which counts where every config is stamped. The kernel itself keeps time by it
/// wherever it is invariant, so its rate is taken from the steady clock as the two run side by
/// side.
class TickClock {
 public:
  TickClock() : first_ns_(host_now_ns()), first_ticks_(now()) {}

  static std::uint64_t now() { return __rdtsc(); }

  /// Nanoseconds per tick, from all the time since this clock was made; waits until that is at
  /// least 100 us.
  [[nodiscard]] double ns_per_tick() const {
    std::uint64_t ns = 0;
    while ((ns = host_now_ns() - first_ns_) < 100'000) cpu_relax();
    return static_cast<double>(ns) / static_cast<double>(now() - first_ticks_);
  }

 private:
  std::uint64_t first_ns_;
  std::uint64_t first_ticks_;
};

}  // namespace aatgs
