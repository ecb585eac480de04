// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace aatgs::detail {

/// Times one in 16 operations of a stream by events on both sides of it, and collects the times
/// without waiting. Thread-safe.
class LatencySampler {
 public:
  LatencySampler(StreamDevice& device, void* stream) : device_(device), stream_(stream) {}

  struct Pair {
    void* begin = nullptr;
    void* end = nullptr;
    enum class State { free, open, ended } state = State::free;
  };

  /// Which: spread evenly, not with a period, since solvers repeat their operations with one.
  static bool is_sample(std::uint64_t operation) {
    return (operation * 0x9E37'79B9'7F4A'7C15U) >> 60 == 0;
  }
  /// Null: no pair is free, or the stream is captured.
  Pair* begin();
  void end(Pair& pair);
  void cancel(Pair& pair);

  struct Total {
    std::uint64_t count = 0;
    std::chrono::nanoseconds time{0};
  };
  Total total();
  /// The events; before the stream ends.
  void destroy() noexcept;

 private:
  void collect();

  StreamDevice& device_;
  void* stream_;
  std::mutex mutex_;
  std::array<Pair, 8> pairs_;
  Total total_;
};

}  // namespace aatgs::detail
