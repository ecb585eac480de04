// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/control_block.hpp>
#include <aatgs/runtime/port.hpp>
#include <atomic>

namespace aatgs {

/// What the launches of all ports of a context share.
struct LaunchOrders {
  explicit LaunchOrders(int device) : words(MemoryKind::mapped, 1, device) {}

  /// From any thread.
  void request_abort() {
    has_ended = true;
    if (words.data() == nullptr) return;  // left to a step that did not end, and that knew
    store_shared(&words.data()->order, static_cast<std::uint32_t>(Command::abort));
  }

  Buffer<ResidentState> words;  ///< `order`, for steps that ask whether to stop
  std::atomic<bool> has_ended = false;
};

}  // namespace aatgs
