// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/completion.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace aatgs {

/// What became of one ticket, by two clocks.
struct TicketTimes {
  std::uint64_t ticket;
  std::uint64_t queue_begin_ns;  ///< host's steady clock: `queue` was called, and returned
  std::uint64_t queue_end_ns;
  std::uint64_t taken_ns;  ///< executor's clock, as in the completion
  std::uint64_t started_ns;
  std::uint64_t finished_ns;
  std::uint64_t polled_ns;  ///< host's clock: the completion was seen
  CompletionStatus status;
};

/// Maps an executor's clock to the host's. Each ticket gives two bounds: it was taken after it was
/// queued, and seen after it was finished. The offset is the middle of the bounds of some hundred
/// tickets, and follows the drift from one such window to the next (after F. Cristian:
/// Probabilistic clock synchronization, 1989).
class ClockMap {
 public:
  /// `times` in the order of `taken_ns`, not empty. `same_clock`: the executor runs on the host.
  ClockMap(const std::vector<TicketTimes>& times, bool same_clock);

  [[nodiscard]] std::uint64_t to_host(std::uint64_t executor_ns) const;
  /// Largest half width of the bounds: no time is off by more, as far as clocks are steady.
  [[nodiscard]] std::uint64_t uncertainty_ns() const { return uncertainty_ns_; }

 private:
  struct Point {
    std::uint64_t at;   ///< executor's clock
    std::int64_t plus;  ///< host's clock minus that
  };
  std::vector<Point> points_;
  std::uint64_t uncertainty_ns_ = 0;
};

/// Collects what the host and an executor did, ticket by ticket, for a picture of both on one
/// clock. One thread.
class RunTrace {
 public:
  /// `most`: tickets that are kept, 80 bytes each; later ones are counted.
  explicit RunTrace(bool same_clock, std::size_t most = 1'000'000)
      : same_clock_(same_clock), most_(most) {}

  /// After a completion was polled. `queue_begin_ns` and `queue_end_ns`: when its config was
  /// queued.
  template <class Telemetry>
  void add(const Completion<Telemetry>& done, std::uint64_t queue_begin_ns,
           std::uint64_t queue_end_ns, std::uint64_t polled_ns) {
    add(TicketTimes{done.ticket, queue_begin_ns, queue_end_ns, done.taken_ns, done.started_ns,
                    done.finished_ns, polled_ns, done.status});
  }
  void add(const TicketTimes& times);

  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

  /// Chrome's JSON trace format, for Perfetto: a track of the host's calls, and as many tracks of
  /// the executor as it ran configs at once; on each, spans follow or contain one another. Tickets
  /// that never ran (lost ones) are left out.
  [[nodiscard]] std::string to_chrome() const;

 private:
  bool same_clock_;
  std::size_t most_;
  std::vector<TicketTimes> times_;
  std::uint64_t left_out_ = 0;
};

}  // namespace aatgs
