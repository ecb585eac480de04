// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/host_clock.hpp>
#include <aatgs/runtime/completion.hpp>
#include <aatgs/runtime/execution_statistics.hpp>
#include <aatgs/runtime/latency_histogram.hpp>
#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace aatgs {

/// Mean and peak of how full a ring was found.
class UtilizationSampler {
 public:
  explicit UtilizationSampler(std::uint32_t slots) : slots_(slots) {}

  void sample(std::uint32_t occupied) {
    const std::uint32_t used = std::min(occupied, slots_);
    sum_ += used;
    ++count_;
    peak_ = std::max(peak_, used);
  }
  [[nodiscard]] RingUtilization read(std::uint32_t occupied_now) const {
    const double slots = slots_;
    const double mean = count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
    return {slots_, std::min(occupied_now, slots_) / slots, mean / slots, peak_ / slots};
  }
  void clear() { *this = UtilizationSampler(slots_); }

 private:
  std::uint32_t slots_;
  std::uint64_t sum_ = 0;
  std::uint64_t count_ = 0;
  std::uint32_t peak_ = 0;
};

/// Remembers when tickets were queued, in ticks. Room for the given number of tickets at once; an
/// older one is forgotten and then simply not measured.
class QueueTimes {
 public:
  explicit QueueTimes(std::uint32_t tickets) : entries_(std::bit_ceil(tickets)) {}

  void set(std::uint64_t ticket, std::uint64_t now) { at(ticket) = {ticket, now}; }
  /// 0 when forgotten.
  [[nodiscard]] std::uint64_t get(std::uint64_t ticket) {
    const Entry& entry = at(ticket);
    return entry.ticket == ticket ? entry.queued : 0;
  }

 private:
  struct Entry {
    std::uint64_t ticket = ~std::uint64_t{0};
    std::uint64_t queued = 0;
  };
  Entry& at(std::uint64_t ticket) { return entries_[ticket & (entries_.size() - 1)]; }

  std::vector<Entry> entries_;
};

/// The counters of a context. Only what the executor loses and holds is not in here.
struct Accounting {
  Accounting(std::uint32_t config_slots, std::uint32_t telemetry_slots)
      : config_ring(config_slots),
        telemetry_ring(telemetry_slots),
        queue_times(2 * std::max(config_slots, telemetry_slots)) {}

  template <class Telemetry>
  void count(const Completion<Telemetry>& done) {
    ++(done.ok() ? completed : failed);
    if (!measures(done.ticket)) return;
    taken_to_finished.record(done.finished_ns - done.taken_ns);
    const std::uint64_t queued = queue_times.get(done.ticket);
    last_collected = TickClock::now();
    if (queued != 0) queue_to_visible.record(last_collected - queued);
  }

  /// Counts configs that were accepted. Whether the rings are to be sampled now.
  [[nodiscard]] bool count_submitted(std::uint64_t count) {
    const std::uint64_t before = submitted;
    submitted += count;
    const unsigned shift = submitted < 1024 ? 4 : 8;  // after every 16th, then every 256th
    return before >> shift != submitted >> shift;
  }

  /// For a ticket that is measured; in ticks.
  void note_queued(std::uint64_t ticket, std::uint64_t ticks) {
    if (first_queued == 0) first_queued = ticks;
    queue_times.set(ticket, ticks);
  }

  /// The moment of the machine's clock at which the time stamp counter stood so; 0 stays 0.
  [[nodiscard]] std::uint64_t moment(std::uint64_t ticks) const {
    if (ticks == 0) return 0;
    const auto ago = static_cast<double>(TickClock::now() - ticks) * clock.ns_per_tick();
    return host_now_ns() - static_cast<std::uint64_t>(ago);
  }

  /// Whether the latency of this ticket is measured: all of the first, then one in 64, because a
  /// reading of the clock and two histograms are dear beside a `poll`. (With one in 8 a stream ran
  /// at 16 M/s instead of 23 without on one H200 machine; on another no difference was seen.)
  [[nodiscard]] bool measures(std::uint64_t ticket) const {
    constexpr std::uint64_t scatter = 0x9E3779B97F4A7C15U;  // so that no period of the load shows
    return ticket < dense_until || (ticket * scatter) >> 58 == 0;
  }

  /// `unit`: nanoseconds per unit of the histogram.
  static LatencyStatistics summary(const LatencyHistogram& h, double unit) {
    const auto ns = [&](std::uint64_t value) {
      return static_cast<std::uint64_t>(static_cast<double>(value) * unit);
    };
    return {h.count(), ns(h.percentile(0.50)), ns(h.percentile(0.99)), ns(h.max())};
  }

  static constexpr std::uint64_t dense_tickets = 1024;

  std::uint64_t dense_until = dense_tickets;  ///< tickets below it are all measured
  std::uint64_t submitted = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;
  std::uint64_t given_up = 0;  ///< by an abort
  std::uint64_t config_overflows = 0;
  std::uint64_t found_idle = 0;
  std::uint64_t first_queued = 0;    ///< ticks; 0: none
  std::uint64_t last_collected = 0;  ///< ticks; 0: none
  UtilizationSampler config_ring;
  UtilizationSampler telemetry_ring;
  QueueTimes queue_times;
  TickClock clock;
  LatencyHistogram queue_to_visible;   ///< ticks
  LatencyHistogram taken_to_finished;  ///< nanoseconds
};

}  // namespace aatgs
