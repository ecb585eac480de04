// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/run_trace.hpp>
#include <algorithm>
#include <limits>

#include "chrome_trace.hpp"

namespace aatgs {

namespace {

constexpr std::size_t window = 256;  // tickets
constexpr std::uint32_t host = 1;    // processes of the trace
constexpr std::uint32_t executor = 2;

std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}

/// A span of the executor on the host's clock, to be put on a track where nothing overlaps it.
struct Placed {
  std::uint64_t taken, started, finished;
};

/// The track of each ticket: the first one that is free, in the order of the tickets' starts.
class Tracks {
 public:
  std::uint32_t place(const Placed& span) {
    for (std::uint32_t track = 0; track < ends_.size(); ++track) {
      if (ends_[track] > span.taken) continue;
      ends_[track] = span.finished;
      return track;
    }
    ends_.push_back(span.finished);
    return static_cast<std::uint32_t>(ends_.size()) - 1;
  }
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(ends_.size()); }

 private:
  std::vector<std::uint64_t> ends_;
};

const char* name_of(CompletionStatus status) {
  return status == CompletionStatus::failed ? "failed" : "ok";
}

}  // namespace

ClockMap::ClockMap(const std::vector<TicketTimes>& times, bool same_clock) {
  if (same_clock) {
    points_.push_back({times.front().taken_ns, 0});
    return;
  }
  for (std::size_t first = 0; first < times.size(); first += window) {
    const std::size_t end = std::min(times.size(), first + window);
    std::int64_t low = std::numeric_limits<std::int64_t>::min();
    std::int64_t high = std::numeric_limits<std::int64_t>::max();
    for (std::size_t i = first; i < end; ++i) {
      low = std::max(low, difference(times[i].queue_begin_ns, times[i].taken_ns));
      high = std::min(high, difference(times[i].polled_ns, times[i].finished_ns));
    }
    points_.push_back({times[first + (end - first) / 2].taken_ns, low + (high - low) / 2});
    const auto width = static_cast<std::uint64_t>(std::max<std::int64_t>(high - low, 0));
    uncertainty_ns_ = std::max(uncertainty_ns_, width / 2);
  }
}

std::uint64_t ClockMap::to_host(std::uint64_t executor_ns) const {
  const auto after = std::upper_bound(points_.begin(), points_.end(), executor_ns,
                                      [](std::uint64_t ns, const Point& p) { return ns < p.at; });
  std::int64_t plus = 0;
  if (after == points_.begin()) {
    plus = points_.front().plus;
  } else if (after == points_.end()) {
    plus = points_.back().plus;
  } else {
    const Point& before = *(after - 1);
    const double share =
        static_cast<double>(executor_ns - before.at) / static_cast<double>(after->at - before.at);
    plus = before.plus +
           static_cast<std::int64_t>(share * static_cast<double>(after->plus - before.plus));
  }
  return executor_ns + static_cast<std::uint64_t>(plus);
}

void RunTrace::add(const TicketTimes& times) {
  if (times.status == CompletionStatus::lost) return;  // has no times
  if (times_.size() < most_) {
    times_.push_back(times);
  } else {
    ++left_out_;
  }
}

std::string RunTrace::to_chrome() const {
  ChromeTrace trace;
  std::string notes = "{\"left_out\":" + std::to_string(left_out_);
  if (times_.empty()) return trace.whole(notes + "}");
  std::vector<TicketTimes> times = times_;
  std::sort(times.begin(), times.end(), [](const TicketTimes& a, const TicketTimes& b) {
    return a.taken_ns != b.taken_ns ? a.taken_ns < b.taken_ns : a.ticket < b.ticket;
  });
  const ClockMap clock(times, same_clock_);
  std::uint64_t origin = clock.to_host(times.front().taken_ns);
  for (const TicketTimes& t : times) origin = std::min(origin, t.queue_begin_ns);
  trace.name_process(host, "host");
  trace.name_track(host, 1, "queue");
  trace.name_process(executor, "executor");
  Tracks tracks;
  for (const TicketTimes& t : times) {
    const std::string args = "{\"ticket\":" + std::to_string(t.ticket) + "}";
    trace.span(host, 1, "queue", t.queue_begin_ns - origin, t.queue_end_ns - origin, args);
    const Placed span{clock.to_host(t.taken_ns) - origin, clock.to_host(t.started_ns) - origin,
                      clock.to_host(t.finished_ns) - origin};
    const std::uint32_t track = tracks.place(span);
    trace.span(executor, track, "config", span.taken, span.finished,
               "{\"ticket\":" + std::to_string(t.ticket) + ",\"status\":\"" + name_of(t.status) +
                   "\",\"queue_to_seen_us\":" +
                   std::to_string((t.polled_ns - t.queue_begin_ns) / 1000) + "}");
    trace.span(executor, track, "step", span.started, span.finished, "{}");
  }
  for (std::uint32_t track = 0; track < tracks.count(); ++track) {
    trace.name_track(executor, track, "slot " + std::to_string(track));
  }
  notes += ",\"clock_uncertainty_ns\":" + std::to_string(clock.uncertainty_ns());
  return trace.whole(notes + "}");
}

}  // namespace aatgs
