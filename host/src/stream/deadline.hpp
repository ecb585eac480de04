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

  explicit Deadline(std::chrono::nanoseconds from_now)
      : given_(from_now),
        at_(Clock::now() + std::min<std::chrono::nanoseconds>(from_now, std::chrono::hours(8760))) {
  }
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
