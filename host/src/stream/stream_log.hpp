// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/event.hpp>
#include <aatgs/host/stream/multi_stream_coordinator.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <string>

namespace aatgs::detail {

/// A place in a stream's work that was recorded and that others may wait for.
struct StreamMark {
  std::string event;   // its name, for reports
  std::string stream;  // that reaches it
  EventPool::Lease lease;
};

/// What a stream was given and has not done, for the watchdog.
class StreamLog {
 public:
  explicit StreamLog(std::string stream) : stream_(std::move(stream)) {}

  /// The operation is done when `mark` is reached, once those before it are. For a wait that is the
  /// mark it waits for.
  void add(std::string operation, bool is_wait, std::shared_ptr<const StreamMark> mark) {
    pending_.push_back({std::move(operation), is_wait, std::move(mark), Clock::now()});
  }

  /// Forgets what is done. Asks the device and not the event, which throws what works before it
  /// threw: that is for `synchronize` to tell.
  void refresh() {
    const auto is_done = [](const Event& event) { return event.device()->is_done(event.native()); };
    while (!pending_.empty() && is_done(*pending_.front().mark->lease)) {
      last_done_ = std::move(pending_.front().operation);
      pending_.pop_front();
    }
  }

  [[nodiscard]] StreamStanding standing() const {
    StreamStanding standing;
    standing.stream = stream_;
    standing.pending = pending_.size();
    standing.last_done = last_done_;
    if (pending_.empty()) return standing;
    const Entry& at = pending_.front();
    standing.at = at.operation;
    standing.age = Clock::now() - at.since;
    if (at.is_wait) {
      standing.waits_for = at.mark->event;
      standing.event_stream = at.mark->stream;
    }
    return standing;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::string operation;
    bool is_wait;
    std::shared_ptr<const StreamMark> mark;
    Clock::time_point since;
  };

  std::string stream_;
  std::string last_done_;
  std::deque<Entry> pending_;
};

}  // namespace aatgs::detail
