// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/worker_events.hpp>
#include <aatgs/runtime/completion.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
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
  std::uint64_t poll_begin_ns;  ///< host's clock: the call that saw the completion began, and
  std::uint64_t poll_end_ns;    ///< returned
  CompletionStatus status;
};

/// Maps an executor's clock to the host's. Each ticket gives two bounds: it was taken after it was
/// queued, and seen after it was finished. The offset is the middle of the bounds of up to some
/// hundred tickets, of fewer where the clocks part so fast that their bounds have nothing in
/// common, and follows the drift from one such window to the next (after F. Cristian: Probabilistic
/// clock synchronization, 1989).
class ClockMap {
 public:
  /// `times` in the order of `taken_ns`, not empty. `same_clock`: the executor runs on the host.
  ClockMap(const std::vector<TicketTimes>& times, bool same_clock);

  [[nodiscard]] std::uint64_t to_host(std::uint64_t executor_ns) const;
  /// Largest half width of the bounds, or of what two of one ticket contradict each other by: no
  /// time is off by more, as far as clocks are steady.
  [[nodiscard]] std::uint64_t uncertainty_ns() const { return uncertainty_ns_; }

 private:
  struct Point {
    std::uint64_t at;   ///< executor's clock
    std::int64_t plus;  ///< host's clock minus that
  };
  /// Of `plus`, by some tickets.
  struct Bounds {
    std::int64_t low = std::numeric_limits<std::int64_t>::min();
    std::int64_t high = std::numeric_limits<std::int64_t>::max();
    void add(const TicketTimes& times);
  };
  void add_point(const Bounds& bounds, std::uint64_t at);

  std::vector<Point> points_;
  std::uint64_t uncertainty_ns_ = 0;
};

/// Collects what the host and an executor did, ticket by ticket, for a picture of both on one
/// clock. One thread.
///
///     const std::uint64_t begin = host_now_ns();
///     const QueueResult queued = context.try_queue(config);
///     if (queued) trace.queued(queued.ticket, begin, host_now_ns());
///
/// and `polled` in the same way; `to_chrome` in the end.
class RunTrace {
 public:
  /// `same_clock`: the executor's clock is the host's, as that of `cpu` is. `most`: tickets that
  /// are kept, 72 bytes each; later ones are counted.
  explicit RunTrace(bool same_clock, std::size_t most = 1'000'000)
      : same_clock_(same_clock), most_(most) {}

  /// A config was queued: when the call began, and when it returned.
  void queued(std::uint64_t ticket, std::uint64_t begin_ns, std::uint64_t end_ns);
  /// Its completion was polled, likewise. One whose queueing is not known is left out.
  template <class Telemetry>
  void polled(const Completion<Telemetry>& done, std::uint64_t begin_ns, std::uint64_t end_ns) {
    complete(TicketTimes{done.ticket, 0, 0, done.taken_ns, done.started_ns, done.finished_ns,
                         begin_ns, end_ns, done.status});
  }
  void add(const TicketTimes& times);
  /// What workers did, as a context's `read_events` gives it; four times as many as tickets.
  void add(const WorkerEvents& events);

  [[nodiscard]] std::size_t size() const { return times_.size(); }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

  /// Chrome's JSON trace format, for Perfetto: a track of the host's queueing, one of its polls,
  /// and as many tracks of the executor as it ran configs at once; on each, spans follow or contain
  /// one another. With events, a track of each SM or thread too, and further ones where it ran
  /// several configs at once, and one of the resident kernel's presence. What an executor did lies
  /// between the calls that queued and polled it, to which it is cut where the clocks are not known
  /// well enough. Tickets that never ran (lost ones) are left out, and events where no ticket was
  /// seen.
  [[nodiscard]] std::string to_chrome() const;

 private:
  struct Queued {
    std::uint64_t begin_ns, end_ns;
  };

  void complete(TicketTimes times);

  bool same_clock_;
  std::size_t most_;
  std::unordered_map<std::uint64_t, Queued> in_flight_;  // by ticket
  std::vector<TicketTimes> times_;
  std::uint64_t left_out_ = 0;
  std::vector<WorkerEvent> events_;
  std::uint64_t events_left_out_ = 0;  // or dropped
};

}  // namespace aatgs
