// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <chrono>
#include <cstdint>
#include <thread>

namespace aatgs::detail {

/// A host wait: spins hot, and now and then yields, looks at the clock and asks whether the
/// GPU is still well.
class Waiter {
 public:
  explicit Waiter(std::chrono::nanoseconds deadline) : deadline_(deadline) {}

  /// One breath. False: the deadline has passed. Throws what `check()` throws.
  template <class Check>
  bool again(Check check) {
    cpu_relax();
    if (++rounds_ % rounds_per_look != 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (rounds_ == rounds_per_look) begin_ = last_check_ = now;
    std::this_thread::yield();
    if (now - last_check_ > check_interval) {
      check();
      last_check_ = now;
    }
    return now - begin_ < deadline_;
  }

 private:
  static constexpr unsigned rounds_per_look = 256;
  static constexpr std::chrono::milliseconds check_interval{1};

  std::chrono::nanoseconds deadline_;
  std::chrono::steady_clock::time_point begin_, last_check_;
  std::uint64_t rounds_ = 0;  // 32 bits come round in minutes, and begin_ would be set anew
};

}  // namespace aatgs::detail
