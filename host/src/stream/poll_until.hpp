// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

namespace aatgs::detail {

/// The pause between two looks at something that may take long: hot at first, since most waits
/// are short, and later asleep, since other threads need the cores.
class Pause {
 public:
  /// How long to stay hot. A sleep of 20 us takes 74 us with the kernel's usual slack (host of an
  /// H200), and waits for 1 ms ended 50 to 64 us late; whom nobody waits for may be late.
  static constexpr std::chrono::microseconds for_caller{2000}, in_background{200};

  explicit Pause(std::chrono::microseconds hot) : hot_(hot) {}

  void take() {
    if (++looks_ < hot_looks) return cpu_relax();
    const auto now = std::chrono::steady_clock::now();
    if (looks_ == hot_looks) begin_ = now;
    const auto passed = now - begin_;
    if (passed < hot_) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::clamp<std::chrono::nanoseconds>(passed / 64, least, most));
    }
  }

 private:
  static constexpr unsigned hot_looks = 64;
  static constexpr std::chrono::microseconds least{20}, most{500};

  std::chrono::microseconds hot_;
  unsigned looks_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

/// Asks until `is_done()`; false: not within `deadline`. Asks at least once.
template <class IsDone>
bool poll_until(std::chrono::nanoseconds deadline, IsDone is_done) {
  if (is_done()) return true;
  const auto begin = std::chrono::steady_clock::now();
  Pause pause(Pause::for_caller);
  while (std::chrono::steady_clock::now() - begin < deadline) {
    pause.take();
    if (is_done()) return true;
  }
  return false;
}

/// For messages: "12 ms".
inline std::string in_ms(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
         " ms";
}

}  // namespace aatgs::detail
