// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/port.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "context.hpp"
#include "ledger.hpp"

namespace aatgs::soak {

/// What one host thread is at; it writes, the watch reads.
struct alignas(line_bytes) Cell {
  std::atomic<std::uint64_t> collected = 0;  ///< completions, of all contexts
  std::atomic<const char*> doing = "nothing";
  std::atomic<const SoakContext*> port = nullptr;
  std::atomic<const Ledger*> ledger = nullptr;
};

/// Watches over the threads of a soak: tells the person how far it is, and where it is stuck.
class Watch {
 public:
  using OnStuck = std::function<void(const std::string& where)>;

  /// `stall`: without progress for so long it calls `on_stuck`, once, from its own thread.
  Watch(std::chrono::milliseconds stall, OnStuck on_stuck);

  /// A part begins; it is over after `goal` of `unit`.
  void begin(const std::string& part, const std::string& unit, std::uint64_t goal);
  void end();
  /// What the threads now work on, for the report of a stuck one.
  void note(const std::string& about);
  /// So many more of the part's unit are done.
  void advance(std::uint64_t count) { advanced_ += count; }
  /// Errors so far, for the progress line.
  void set_errors(std::uint64_t errors) { errors_ = errors; }

  Cell& cell(std::uint32_t port) { return cells_[port]; }
  [[nodiscard]] std::uint64_t collected() const;

 private:
  using Clock = std::chrono::steady_clock;

  void run(const std::stop_token& stop);
  void tell_progress(Clock::time_point now);
  [[nodiscard]] std::string where() const;

  std::chrono::milliseconds stall_;
  OnStuck on_stuck_;
  std::array<Cell, max_ports> cells_;
  std::atomic<std::uint64_t> advanced_ = 0;
  std::atomic<std::uint64_t> errors_ = 0;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::string part_;  // empty between parts
  std::string unit_;
  std::string about_;
  std::uint64_t goal_ = 0;
  Clock::time_point begun_, told_, moved_;
  std::uint64_t last_seen_ = 0;

  std::jthread thread_;  // last: it must end before what it uses
};

}  // namespace aatgs::soak
