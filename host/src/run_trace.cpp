// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/run_trace.hpp>
#include <algorithm>
#include <cstdlib>
#include <span>
#include <tuple>

#include "chrome_trace.hpp"

namespace aatgs {

namespace {

constexpr std::size_t window = 256;  // tickets
constexpr std::uint32_t host = 1;    // processes of the trace
constexpr std::uint32_t executor = 2;
constexpr std::uint32_t workers = 3;
constexpr std::uint32_t queue_track = 1;
constexpr std::uint32_t poll_track = 2;

std::int64_t difference(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(a - b);
}

/// Of the picture: the host's, from its beginning.
struct Clock {
  const ClockMap& map;
  std::uint64_t origin;

  [[nodiscard]] std::uint64_t of_host(std::uint64_t ns) const { return ns - origin; }
  [[nodiscard]] std::uint64_t of_executor(std::uint64_t ns) const {
    return map.to_host(ns) - origin;
  }
};

std::string args_of(std::uint64_t ticket) {
  return "{\"ticket\":" + std::to_string(ticket) + "}";
}

std::string args_of(const TicketTimes& t) {
  return "{\"ticket\":" + std::to_string(t.ticket) + ",\"status\":\"" +
         (t.status == CompletionStatus::failed ? "failed" : "ok") +
         "\",\"queue_to_seen_us\":" + std::to_string((t.poll_end_ns - t.queue_begin_ns) / 1000) +
         "}";
}

void draw_tickets(ChromeTrace& trace, const std::vector<TicketTimes>& times, const Clock& clock) {
  trace.name_process(host, "host");
  trace.name_track(host, queue_track, "queue");
  trace.name_track(host, poll_track, "poll");
  trace.name_process(executor, "executor");
  SpanTracks tracks;
  for (const TicketTimes& t : times) {
    const std::uint64_t queued = clock.of_host(t.queue_begin_ns);
    const std::uint64_t polled = clock.of_host(t.poll_end_ns);
    // The order of the calls is certain, the clock's offset is not quite.
    const auto within = [&](std::uint64_t executor_ns) {
      return std::max(queued, std::min(clock.of_executor(executor_ns), polled));
    };
    const std::string args = args_of(t.ticket);
    trace.span(host, queue_track, "queue", queued, clock.of_host(t.queue_end_ns), args);
    trace.span(host, poll_track, "poll", clock.of_host(t.poll_begin_ns), polled, args);
    const std::uint64_t taken = within(t.taken_ns);
    const std::uint64_t finished = within(t.finished_ns);
    const std::uint32_t track = tracks.place(taken, finished);
    trace.span(executor, track, "config", taken, finished, args_of(t));
    trace.span(executor, track, "step", within(t.started_ns), finished, args);
  }
  for (std::uint32_t track = 0; track < tracks.count(); ++track) {
    trace.name_track(executor, track, "slot " + std::to_string(track));
  }
}

std::uint64_t begin_of(const WorkerEvent& e) {
  return e.taken_ns != 0 ? e.taken_ns : e.started_ns;
}

/// The kernel's presence first, then unit by unit.
std::vector<WorkerEvent> in_order(std::vector<WorkerEvent> events) {
  const auto key = [](const WorkerEvent& e) {
    const bool is_config = e.kind == EventKind::config;
    return std::tuple(is_config, is_config ? e.unit : 0, begin_of(e), e.worker, e.ticket);
  };
  std::sort(events.begin(), events.end(),
            [&](const WorkerEvent& a, const WorkerEvent& b) { return key(a) < key(b); });
  return events;
}

/// Those of one SM or thread; `first`: number of its first track. Returns how many tracks it has.
std::uint32_t draw_unit(ChromeTrace& trace, std::span<const WorkerEvent> events, const Clock& clock,
                        std::uint32_t first) {
  SpanTracks tracks;
  for (const WorkerEvent& e : events) {
    const std::uint64_t begin = clock.of_executor(begin_of(e));
    const std::uint64_t started = clock.of_executor(e.started_ns);
    const std::uint64_t finished = clock.of_executor(e.finished_ns);
    const std::uint32_t track = first + tracks.place(begin, finished);
    const std::string args =
        "{\"ticket\":" + std::to_string(e.ticket) + ",\"worker\":" + std::to_string(e.worker) + "}";
    if (e.kind == EventKind::presence) {
      trace.span(workers, track, "launch", started, finished, args);
      continue;
    }
    if (e.taken_ns != 0) trace.span(workers, track, "config", begin, finished, args);
    trace.span(workers, track, "step", started, finished, args);
  }
  return tracks.count();
}

void draw_units(ChromeTrace& trace, std::span<const WorkerEvent> events, const Clock& clock,
                const std::string& unit_name) {
  if (!events.empty()) trace.name_process(workers, "workers");
  std::uint32_t track = 0;
  for (std::size_t first = 0; first < events.size();) {
    const WorkerEvent& e = events[first];
    std::size_t end = first;
    while (end < events.size() && events[end].kind == e.kind &&
           (e.kind == EventKind::presence || events[end].unit == e.unit)) {
      ++end;
    }
    const std::string name =
        e.kind == EventKind::presence ? "resident kernel" : unit_name + std::to_string(e.unit);
    const std::uint32_t count = draw_unit(trace, events.subspan(first, end - first), clock, track);
    for (const std::uint32_t last = track + count; track < last; ++track) {
      trace.name_track(workers, track, name);
    }
    first = end;
  }
}

}  // namespace

void ClockMap::Bounds::add(const TicketTimes& times) {
  low = std::max(low, difference(times.queue_begin_ns, times.taken_ns));
  high = std::min(high, difference(times.poll_end_ns, times.finished_ns));
}

ClockMap::ClockMap(const std::vector<TicketTimes>& times, bool same_clock) {
  if (same_clock) {
    points_.push_back({times.front().taken_ns, 0});
    return;
  }
  Bounds bounds;
  std::size_t first = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    Bounds narrower = bounds;
    narrower.add(times[i]);
    // One whose own bounds contradict each other, as a long step's may, gives a point by itself.
    if (i != first && (i - first == window || narrower.low > narrower.high)) {
      add_point(bounds, times[first + (i - first) / 2].taken_ns);
      narrower = Bounds{};
      narrower.add(times[i]);
      first = i;
    }
    bounds = narrower;
  }
  add_point(bounds, times[first + (times.size() - first) / 2].taken_ns);
}

void ClockMap::add_point(const Bounds& bounds, std::uint64_t at) {
  const std::int64_t width = bounds.high - bounds.low;
  points_.push_back({at, bounds.low + width / 2});
  uncertainty_ns_ = std::max(uncertainty_ns_, static_cast<std::uint64_t>(std::abs(width)) / 2);
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

void RunTrace::queued(std::uint64_t ticket, std::uint64_t begin_ns, std::uint64_t end_ns) {
  if (times_.size() < most_) in_flight_[ticket] = {begin_ns, end_ns};
}

void RunTrace::complete(TicketTimes times) {
  const auto queued = in_flight_.find(times.ticket);
  if (queued == in_flight_.end()) {
    ++left_out_;
    return;
  }
  times.queue_begin_ns = queued->second.begin_ns;
  times.queue_end_ns = queued->second.end_ns;
  in_flight_.erase(queued);
  add(times);
}

void RunTrace::add(const TicketTimes& times) {
  if (times.status == CompletionStatus::lost) return;  // has no times
  if (times_.size() < most_) {
    times_.push_back(times);
  } else {
    ++left_out_;
  }
}

void RunTrace::add(const WorkerEvents& events) {
  const std::size_t room = 4 * most_ - events_.size();
  const std::size_t count = std::min(room, events.events.size());
  events_.insert(events_.end(), events.events.begin(),
                 events.events.begin() + static_cast<std::ptrdiff_t>(count));
  events_left_out_ += events.events.size() - count + events.dropped;
}

std::string RunTrace::to_chrome() const {
  ChromeTrace trace;
  // Without a ticket nobody knows where on the host's clock the events lie.
  const std::uint64_t without_clock = times_.empty() ? events_.size() : 0;
  std::string notes = "{\"left_out\":" + std::to_string(left_out_) +
                      ",\"events_left_out\":" + std::to_string(events_left_out_ + without_clock);
  if (times_.empty()) return trace.whole(notes + "}");
  std::vector<TicketTimes> times = times_;
  std::sort(times.begin(), times.end(), [](const TicketTimes& a, const TicketTimes& b) {
    return a.taken_ns != b.taken_ns ? a.taken_ns < b.taken_ns : a.ticket < b.ticket;
  });
  const ClockMap map(times, same_clock_);
  const std::vector<WorkerEvent> events = in_order(events_);
  std::uint64_t origin = map.to_host(times.front().taken_ns);
  for (const TicketTimes& t : times) origin = std::min(origin, t.queue_begin_ns);
  for (const WorkerEvent& e : events) origin = std::min(origin, map.to_host(begin_of(e)));
  const Clock clock{map, origin};
  draw_tickets(trace, times, clock);
  draw_units(trace, events, clock, same_clock_ ? "thread " : "SM ");
  notes += ",\"clock_uncertainty_ns\":" + std::to_string(map.uncertainty_ns());
  return trace.whole(notes + "}");
}

}  // namespace aatgs
