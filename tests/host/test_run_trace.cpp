// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/make_cpu_context.hpp>
#include <aatgs/host/run_trace.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace aatgs {
namespace {

using nlohmann::json;

/// An executor whose clock began long ago and runs 80 ppm fast.
std::uint64_t skewed(std::uint64_t host_ns) {
  return 77'000'000'000 + host_ns + host_ns / 12'500;
}

/// Tickets of a host that has four in flight at once, or fewer with another pace.
std::vector<TicketTimes> synthetic(std::size_t count, std::uint64_t pace_ns = 2500) {
  std::mt19937_64 random(3);
  std::vector<TicketTimes> all;
  std::uint64_t now = 5'000'000;
  for (std::uint64_t ticket = 0; ticket < count; ++ticket) {
    const std::uint64_t taken = now + 700 + random() % 2000;
    const std::uint64_t started = taken + 50;
    const std::uint64_t finished = started + 1000 + random() % 8000;
    const std::uint64_t seen = finished + 700 + random() % 3000;
    all.push_back({ticket, now, now + 40, skewed(taken), skewed(started), skewed(finished),
                   seen - 20, seen, CompletionStatus::ok});
    now += pace_ns;
  }
  // Of the polls of one thread only one can be on its way.
  std::uint64_t polled = 0;
  for (TicketTimes& t : all) {
    polled = t.poll_end_ns = std::max(t.poll_end_ns, polled + 30);
    t.poll_begin_ns = t.poll_end_ns - 20;
  }
  return all;
}

/// Perfetto's rules for one track: spans lie behind one another, or one inside the other.
void check_tracks(const json& trace) {
  std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> tracks;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    const double begin = event["ts"];
    REQUIRE(event["dur"] >= 0);
    tracks[{event["pid"], event["tid"]}].emplace_back(begin, begin + event["dur"].get<double>());
  }
  std::size_t overlaps = 0;
  for (auto& [track, spans] : tracks) {
    std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : a.second > b.second;
    });
    std::vector<double> open;
    for (const auto& [begin, end] : spans) {
      while (!open.empty() && open.back() <= begin + 1e-6) open.pop_back();
      if (!open.empty() && end > open.back() + 1e-6) ++overlaps;
      open.push_back(end);
    }
  }
  CHECK(overlaps == 0);
}

TEST_CASE("run trace: host and executor are not on one clock") {
  const auto times = synthetic(20'000);  // 50 ms, in which the clocks part by 4 us
  const ClockMap clock(times, false);
  CHECK(clock.uncertainty_ns() < 1500);
  std::uint64_t off = 0;
  for (const TicketTimes& t : times) {
    const std::uint64_t mapped = clock.to_host(t.finished_ns);
    const std::uint64_t truth = (t.finished_ns - 77'000'000'000) * 12'500 / 12'501;
    off = std::max(off, mapped > truth ? mapped - truth : truth - mapped);
    CHECK_UNARY(mapped + 1500 > t.queue_begin_ns);
  }
  CHECK(off < 1500);
}

TEST_CASE("run trace: spans of one track overlap, or a ticket is missing") {
  RunTrace trace(false);
  const auto times = synthetic(1000);
  for (const TicketTimes& t : times) trace.add(t);
  const json parsed = json::parse(trace.to_chrome());
  check_tracks(parsed);
  std::set<std::uint64_t> tickets;
  std::set<int> tracks;
  for (const json& event : parsed["traceEvents"]) {
    if (event["name"] != "config") continue;
    tickets.insert(event["args"]["ticket"].get<std::uint64_t>());
    tracks.insert(event["tid"].get<int>());
  }
  CHECK(tickets.size() == times.size());
  CHECK(tracks.size() >= 2);
  CHECK(tracks.size() <= 8);
}

TEST_CASE("run trace: it grows without end, or leaves out what it does not tell") {
  RunTrace trace(true, 10);
  for (const TicketTimes& t : synthetic(25)) trace.add(t);
  TicketTimes lost = synthetic(1).front();
  lost.status = CompletionStatus::lost;
  trace.add(lost);
  CHECK(trace.left_out() == 15);
  CHECK(json::parse(trace.to_chrome())["otherData"]["left_out"] == 15);
  CHECK(json::parse(RunTrace(true).to_chrome())["traceEvents"].empty());
}

TEST_CASE(
    "run trace: a step lies before its queueing or after its poll, where the clocks part fast") {
  RunTrace trace(false);
  const auto times = synthetic(2000, 4'000'000);  // 8 s, in which they part by 640 us
  for (const TicketTimes& t : times) trace.add(t);
  const json parsed = json::parse(trace.to_chrome());
  std::map<std::uint64_t, double> queued, polled;
  for (const json& event : parsed["traceEvents"]) {
    if (event["ph"] != "X") continue;
    const std::uint64_t ticket = event["args"]["ticket"];
    const double begin = event["ts"];
    if (event["name"] == "queue") queued[ticket] = begin;
    if (event["name"] == "poll") polled[ticket] = begin + event["dur"].get<double>();
  }
  std::size_t outside = 0;
  double shortest = 1e9;
  for (const json& event : parsed["traceEvents"]) {
    if (event["name"] != "step") continue;
    const std::uint64_t ticket = event["args"]["ticket"];
    const double begin = event["ts"];
    const double us = event["dur"];
    if (begin < queued.at(ticket) || begin + us > polled.at(ticket) + 1e-3) ++outside;
    shortest = std::min(shortest, us);
  }
  CHECK(outside == 0);
  CHECK(shortest > 0.9);  // of 1 us: the map is good, and does not only cut
  CHECK(parsed["otherData"]["clock_uncertainty_ns"] < 3000);
}

TEST_CASE(
    "run trace: a step so long that its own bounds contradict each other moves all before it") {
  // A second, in which the clocks part by 40 us, and calls of 10 us.
  constexpr std::uint64_t second = 1'000'000'000;
  constexpr std::uint64_t ahead = 72 * second;  // the executor's clock
  std::vector<TicketTimes> times{{0, 5 * second, 5 * second + 1000, ahead + 5 * second + 3000,
                                  ahead + 5 * second + 3100, ahead + 6 * second + 30'000,
                                  6 * second - 10'000, 6 * second - 4000, CompletionStatus::ok}};
  for (std::uint64_t ticket = 1; ticket < 5; ++ticket) {
    const std::uint64_t now = 6 * second + ticket * 100'000;
    const std::uint64_t executor = now + ahead + 40'000;
    times.push_back({ticket, now, now + 1000, executor + 3000, executor + 3100, executor + 5000,
                     now + 6000, now + 9000, CompletionStatus::ok});
  }
  const ClockMap clock(times, false);
  // Taken 3 us after it was queued, and finished 34 us after it was seen: 31 us apart.
  CHECK(clock.uncertainty_ns() == 15'500);
  const std::uint64_t before = clock.to_host(ahead + 4 * second);
  CHECK(before > 4 * second - 40'000);
  CHECK(before < 4 * second + 40'000);
}

TEST_CASE("run trace: events are left out without a word where no ticket was seen") {
  RunTrace trace(true);
  WorkerEvents events;
  events.events.resize(3);
  events.dropped = 2;
  trace.add(events);
  CHECK(json::parse(trace.to_chrome())["otherData"]["events_left_out"] == 5);
}

TEST_CASE("run trace: a ticket that was never queued, or came after the last that fits, is shown") {
  RunTrace trace(true, 2);
  Completion<std::uint32_t> done;
  for (std::uint64_t ticket = 0; ticket < 4; ++ticket) {
    trace.queued(ticket, 10 * ticket + 1, 10 * ticket + 2);
    done.ticket = ticket;
    done.taken_ns = done.started_ns = 10 * ticket + 3;
    done.finished_ns = 10 * ticket + 5;
    trace.polled(done, 10 * ticket + 6, 10 * ticket + 7);
  }
  done.ticket = 99;
  trace.polled(done, 98, 99);
  CHECK(trace.size() == 2);
  CHECK(trace.left_out() == 3);
}

TEST_CASE("run trace: workers of one SM overlap on a track, or are on another clock or SM") {
  RunTrace trace(false);
  const auto times = synthetic(500);
  WorkerEvents events;
  for (const TicketTimes& t : times) {
    trace.add(t);
    const auto worker = static_cast<std::uint32_t>(t.ticket % 8);
    events.events.push_back({t.ticket, t.taken_ns, t.started_ns, t.finished_ns, EventKind::config,
                             static_cast<std::uint16_t>(worker / 2 * 33), worker});
  }
  const std::uint64_t begin = times.front().taken_ns - 100;
  const std::uint64_t middle = times[200].taken_ns;
  events.events.push_back({0, 0, begin, middle, EventKind::presence, 5, 8});
  events.events.push_back({1, 0, middle + 50, times.back().finished_ns, EventKind::presence, 6, 8});
  events.dropped = 7;
  trace.add(events);
  const json parsed = json::parse(trace.to_chrome());
  check_tracks(parsed);
  CHECK(parsed["otherData"]["events_left_out"] == 7);
  std::map<int, std::string> names;
  std::map<std::uint64_t, json> steps;  // of the executor
  std::map<std::string, int> seen;      // parts of steps by the name of the track
  for (const json& event : parsed["traceEvents"]) {
    if (event["name"] == "thread_name" && event["pid"] == 3)
      names[event["tid"]] = event["args"]["name"];
    if (event["name"] == "step" && event["pid"] == 2) steps[event["args"]["ticket"]] = event;
  }
  for (const json& event : parsed["traceEvents"]) {
    if (event["pid"] != 3 || event["ph"] != "X" || event["name"] == "config") continue;
    ++seen[names.at(event["tid"])];
    if (event["name"] != "step") continue;
    const std::uint64_t ticket = event["args"]["ticket"];
    CHECK(names.at(event["tid"]) == "SM " + std::to_string(ticket % 8 / 2 * 33));
    CHECK(event["ts"].get<double>() == doctest::Approx(steps.at(ticket)["ts"].get<double>()));
    CHECK(event["dur"].get<double>() == doctest::Approx(steps.at(ticket)["dur"].get<double>()));
  }
  const std::map<std::string, int> expected = {
      {"SM 0", 126}, {"SM 33", 126}, {"SM 66", 124}, {"SM 99", 124}, {"resident kernel", 2}};
  CHECK(seen == expected);
  CHECK(names.size() <= 9);  // two workers on each SM
}

struct Nap {
  template <class Group>
  void operator()(Group& group, const std::uint32_t& us, std::uint32_t& out) const {
    const std::uint64_t begin = host_now_ns();
    while (host_now_ns() - begin < us * 1000) {
    }
    if (group.rank() == 0) out = us;
  }
};

TEST_CASE("run trace: the spans of a real context overlap, or are not as long as its steps") {
  auto context = make_cpu_context<std::uint32_t, std::uint32_t>(Nap{}, {.cpu_threads = 2});
  RunTrace trace(true);
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t begin = host_now_ns();
    const QueueResult result = context.queue(300);
    REQUIRE(result);
    trace.queued(result.ticket, begin, host_now_ns());
  }
  std::uint64_t begin = host_now_ns();
  while (auto done = context.wait(std::chrono::seconds(20))) {
    trace.polled(*done, begin, host_now_ns());
    begin = host_now_ns();
  }
  const json parsed = json::parse(trace.to_chrome());
  check_tracks(parsed);
  int steps = 0;
  for (const json& event : parsed["traceEvents"]) {
    if (event["name"] != "step") continue;
    ++steps;
    CHECK(event["dur"] >= 300);
  }
  CHECK(steps == 60);
}

}  // namespace
}  // namespace aatgs
