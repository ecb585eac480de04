// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <thread>

namespace aatgs::test {

/// Ends when it is let go, or aborted. On CPU threads.
struct HeldStep {
  std::atomic<bool>* let_go;
  template <class Group>
  void operator()(Group& group, const int& config, int& out) const {
    while (!let_go->load() && !group.stop_requested()) std::this_thread::yield();
    out = config;
  }
};

}  // namespace aatgs::test
