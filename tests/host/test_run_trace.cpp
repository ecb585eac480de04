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

/// Tickets of a host that has four in flight at once.
std::vector<TicketTimes> synthetic(std::size_t count) {
  std::mt19937_64 random(3);
  std::vector<TicketTimes> all;
  std::uint64_t now = 5'000'000;
  for (std::uint64_t ticket = 0; ticket < count; ++ticket) {
    const std::uint64_t taken = now + 700 + random() % 2000;
    const std::uint64_t started = taken + 50;
    const std::uint64_t finished = started + 1000 + random() % 8000;
    all.push_back({ticket, now, now + 40, skewed(taken), skewed(started), skewed(finished),
                   finished + 700 + random() % 3000, CompletionStatus::ok});
    now += 2500;
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
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> queued;
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t begin = host_now_ns();
    const QueueResult result = context.queue(300);
    REQUIRE(result);
    queued[result.ticket] = {begin, host_now_ns()};
  }
  while (auto done = context.wait(std::chrono::seconds(20))) {
    const auto& [begin, end] = queued.at(done->ticket);
    trace.add(*done, begin, end, host_now_ns());
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
