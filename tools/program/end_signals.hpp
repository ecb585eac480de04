// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <csignal>
#include <ctime>

namespace aatgs::program {

/// Takes SIGINT and SIGTERM as a wish to end, for whoever asks. Make it before any thread.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~EndSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  /// Whether one came, at the latest within this time.
  [[nodiscard]] bool came_within(std::chrono::milliseconds time) {
    const timespec wait{time.count() / 1000, time.count() % 1000 * 1'000'000};
    came_ = came_ || sigtimedwait(&signals_, nullptr, &wait) > 0;
    return came_;
  }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  bool came_ = false;
};

}  // namespace aatgs::program
