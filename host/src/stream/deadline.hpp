// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace aatgs {
class Event;
}

namespace aatgs::detail {

/// A moment by which something has to be done; any duration may be given, also the longest.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  /// Cuts it to a year, in its own unit: the longest milliseconds are no nanoseconds.
  template <class Duration>
  explicit Deadline(Duration from_now)
      : given_(std::clamp<Duration>(from_now, Duration::zero(), std::chrono::hours(8760))),
        at_(Clock::now() + given_) {}
  /// What it was made with, for messages.
  [[nodiscard]] std::chrono::nanoseconds given() const { return given_; }
  [[nodiscard]] Clock::time_point at() const { return at_; }
  [[nodiscard]] std::chrono::nanoseconds left() const {
    return std::max<std::chrono::nanoseconds>(at_ - Clock::now(), std::chrono::nanoseconds(0));
  }

 private:
  std::chrono::nanoseconds given_;
  Clock::time_point at_;
};

/// `Event::wait`, whose message tells the whole deadline and not what others left of it.
void wait_for(const Event& event, const Deadline& deadline);

}  // namespace aatgs::detail
