// SPDX-License-Identifier: Apache-2.0
#include "view.hpp"

#include <aatgs/host/ring_advice.hpp>
#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "measurement.hpp"

namespace aatgs {
namespace {

using Json = nlohmann::ordered_json;

std::string percents(const RingUtilization& ring) {
  return fixed(100 * ring.now, 0) + "/" + fixed(100 * ring.mean, 0) + "/" +
         fixed(100 * ring.peak, 0);
}

std::string utc(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm parts{};
  char text[64] = "";
  if (gmtime_r(&seconds, &parts) != nullptr) {
    std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  }
  return text;
}

std::string executor_of(const PublishedContext& page) {
  return std::string(to_string(static_cast<ExecutorKind>(page.report.executor)));
}
std::string scope_of(const PublishedContext& page) {
  return std::string(to_string(static_cast<Scope>(page.identity.scope)));
}
std::uint64_t age_ns(const PublishedContext& page, std::uint64_t now_ns) {
  return now_ns - std::min(now_ns, page.report.published_ns);
}

Json ring_json(const RingUtilization& ring) {
  return {{"slots", ring.slots},
          {"now", ring.now},
          {"mean", ring.mean},
          {"peak", ring.peak},
          {"advice", ring_advice(ring)}};
}

Json latency_json(const LatencyStatistics& latency) {
  return {{"count", latency.count},
          {"p50_ns", latency.p50_ns},
          {"p99_ns", latency.p99_ns},
          {"max_ns", latency.max_ns}};
}

double idle_share(const ExecutionStatistics& s) {
  return s.submitted == 0
             ? 0
             : static_cast<double>(s.gpu_found_idle) / static_cast<double>(s.submitted);
}

Json list_json(const PublishedContext& page) {
  Json entry = {{"name", page.name},
                {"pid", page.header.pid},
                {"number", page.header.number},
                {"process", to_string(page.owner)}};
  if (!page.problem.empty()) {
    entry["problem"] = page.problem;
    return entry;
  }
  entry["program"] = page.identity.program;
  entry["created"] = utc(page.identity.created_unix_ns);
  entry["state"] = to_string(page.report.state);
  entry["executor"] = executor_of(page);
  entry["scope"] = scope_of(page);
  entry["port"] = page.identity.port;
  entry["ports"] = page.identity.ports;
  return entry;
}

Json statistics_json(const PublishedContext& page, std::uint64_t now_ns) {
  Json entry = list_json(page);
  if (!page.problem.empty()) return entry;
  const ExecutionStatistics& s = page.report.statistics;
  entry["description"] = page.report.description;
  entry["config_policy"] = name_of(static_cast<ConfigPolicy>(page.identity.config_policy));
  entry["telemetry_policy"] = name_of(static_cast<TelemetryPolicy>(page.identity.telemetry_policy));
  entry["submitted"] = s.submitted;
  entry["completed"] = s.completed;
  entry["failed"] = s.failed;
  entry["dropped"] = s.dropped;
  entry["in_flight"] = s.in_flight;
  entry["submitted_per_second"] = page.report.submitted_per_second;
  entry["config_overflows"] = s.config_overflows;
  entry["telemetry_overflows"] = s.telemetry_overflows;
  entry["idle_share"] = idle_share(s);
  entry["parks"] = s.parks;
  entry["config_ring"] = ring_json(s.config_ring);
  entry["telemetry_ring"] = ring_json(s.telemetry_ring);
  entry["queue_to_visible"] = latency_json(s.queue_to_visible);
  entry["taken_to_finished"] = latency_json(s.taken_to_finished);
  entry["heartbeat_age_ns"] = age_ns(page, now_ns);
  entry["hang"] = page.report.hang;
  return entry;
}

Row list_row(const PublishedContext& page) {
  Row row = {std::to_string(page.header.pid), std::to_string(page.header.number),
             std::string(to_string(page.owner))};
  if (!page.problem.empty()) {
    row.insert(row.end(), {"", "", "", "", "", page.problem});
    return row;
  }
  row.insert(row.end(), {std::string(to_string(page.report.state)), executor_of(page),
                         scope_of(page), std::to_string(page.identity.port),
                         utc(page.identity.created_unix_ns), page.identity.program});
  return row;
}

/// For people.
Row statistics_row(const PublishedContext& page, std::uint64_t now_ns) {
  const ExecutionStatistics& s = page.report.statistics;
  const bool lives = page.owner == PageOwner::alive || page.owner == PageOwner::elsewhere;
  return {std::to_string(page.header.pid) + "-" + std::to_string(page.header.number),
          std::string(lives ? to_string(page.report.state) : to_string(page.owner)),
          executor_of(page),
          scope_of(page),
          short_count(page.report.submitted_per_second),
          std::to_string(s.in_flight),
          percents(s.config_ring),
          percents(s.telemetry_ring),
          std::to_string(s.config_overflows) + "+" + std::to_string(s.telemetry_overflows),
          short_time(s.queue_to_visible.p50_ns),
          short_time(s.queue_to_visible.p99_ns),
          fixed(100 * idle_share(s), 0),
          std::to_string(s.parks),
          short_time(age_ns(page, now_ns)),
          page.identity.program};
}

/// For machines: what the table shows, exactly.
Row csv_row(const PublishedContext& page, std::uint64_t now_ns) {
  Row row = {page.name, std::to_string(page.header.pid), std::to_string(page.header.number),
             std::string(to_string(page.owner))};
  if (!page.problem.empty()) {
    row.resize(28);
    row.push_back(page.problem);
    return row;
  }
  const ExecutionStatistics& s = page.report.statistics;
  row.insert(row.end(), {std::string(to_string(page.report.state)), executor_of(page),
                         scope_of(page), std::to_string(page.identity.port)});
  row.push_back(fixed(page.report.submitted_per_second, 1));
  for (const std::uint64_t n : {s.submitted, s.completed, s.failed, s.dropped, s.in_flight}) {
    row.push_back(std::to_string(n));
  }
  for (const RingUtilization& ring : {s.config_ring, s.telemetry_ring}) {
    for (const double share : {ring.now, ring.mean, ring.peak}) row.push_back(fixed(share, 6));
  }
  for (const std::uint64_t n :
       {s.config_overflows, s.telemetry_overflows, s.queue_to_visible.p50_ns,
        s.queue_to_visible.p99_ns, s.parks, age_ns(page, now_ns)}) {
    row.push_back(std::to_string(n));
  }
  row.insert(row.end(), {page.identity.program, page.report.hang, ""});
  return row;
}

std::string statistics_text(const std::vector<PublishedContext>& pages, std::uint64_t now_ns) {
  std::vector<Row> rows = {{"CONTEXT", "STATE", "EXECUTOR", "SCOPE", "SUBMIT/S", "IN FLIGHT",
                            "CONFIG%", "TELEM%", "OVERFLOW", "P50", "P99", "IDLE%", "PARKS", "AGE",
                            "PROGRAM"}};
  std::string notes;
  for (const PublishedContext& page : pages) {
    const std::string who =
        std::to_string(page.header.pid) + "-" + std::to_string(page.header.number);
    if (!page.problem.empty()) {
      notes += who + ": " + page.problem + "\n";
      continue;
    }
    rows.push_back(statistics_row(page, now_ns));
    if (page.report.hang[0] != '\0') notes += who + ": " + page.report.hang + "\n";
  }
  if (pages.empty()) return "no contexts\n";
  return (rows.size() > 1 ? table(rows) : "") + notes;
}

Row csv_header() {
  return {"name",
          "pid",
          "number",
          "process",
          "state",
          "executor",
          "scope",
          "port",
          "submitted_per_second",
          "submitted",
          "completed",
          "failed",
          "dropped",
          "in_flight",
          "config_now",
          "config_mean",
          "config_peak",
          "telemetry_now",
          "telemetry_mean",
          "telemetry_peak",
          "config_overflows",
          "telemetry_overflows",
          "p50_ns",
          "p99_ns",
          "parks",
          "heartbeat_age_ns",
          "program",
          "hang",
          "problem"};
}

}  // namespace

std::string show_list(const std::vector<PublishedContext>& pages, Format format) {
  if (format == Format::json) {
    Json all = Json::array();
    for (const PublishedContext& page : pages) all.push_back(list_json(page));
    return all.dump(2) + "\n";
  }
  if (format == Format::text && pages.empty()) return "no contexts\n";
  const bool is_csv = format == Format::csv;
  std::vector<Row> rows = {is_csv ? Row{"pid", "number", "process", "state", "executor", "scope",
                                        "port", "created", "program"}
                                  : Row{"PID", "NUMBER", "PROCESS", "STATE", "EXECUTOR", "SCOPE",
                                        "PORT", "CREATED", "PROGRAM"}};
  for (const PublishedContext& page : pages) rows.push_back(list_row(page));
  return is_csv ? csv(rows) : table(rows);
}

std::string show_statistics(const std::vector<PublishedContext>& pages, Format format,
                            std::uint64_t now_ns) {
  if (format == Format::text) return statistics_text(pages, now_ns);
  if (format == Format::json) {
    Json all = Json::array();
    for (const PublishedContext& page : pages) all.push_back(statistics_json(page, now_ns));
    return all.dump(2) + "\n";
  }
  std::vector<Row> rows = {csv_header()};
  for (const PublishedContext& page : pages) rows.push_back(csv_row(page, now_ns));
  return csv(rows);
}

}  // namespace aatgs
