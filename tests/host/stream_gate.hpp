// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream.hpp>
#include <chrono>
#include <future>
#include <thread>

namespace aatgs::test {

/// Only stops a hang.
inline constexpr std::chrono::seconds patience{60};

/// Work of host threads that stays until it is let go, so that tests see streams that are busy.
/// Opens at its end.
class Gate {
 public:
  Gate() : opened_(promise_.get_future().share()) {}
  ~Gate() { open(); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void hold(Stream& stream) {
    stream.run([opened = opened_](StreamTarget) { opened.wait(); });
  }
  void open() {
    if (is_open_) return;
    is_open_ = true;
    promise_.set_value();
  }

 private:
  std::promise<void> promise_;
  std::shared_future<void> opened_;
  bool is_open_ = false;
};

}  // namespace aatgs::test
