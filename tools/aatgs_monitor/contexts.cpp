// SPDX-License-Identifier: Apache-2.0
#include "contexts.hpp"

#include <aatgs/host/ring_advice.hpp>
#include <algorithm>

#include "json_text.hpp"
#include "views.hpp"

namespace aatgs::monitor {
namespace {

/// The fields of a JSON object.
class Fields {
 public:
  Fields& text(std::string_view name, std::string_view value) {
    append_string(begin(name), value);
    return *this;
  }
  template <class Number>
  Fields& number(std::string_view name, Number value) {
    append_number(begin(name), value);
    return *this;
  }
  Fields& raw(std::string_view name, const std::string& json) {
    begin(name) += json;
    return *this;
  }
  [[nodiscard]] std::string object() const { return "{" + out_ + "}"; }

 private:
  std::string& begin(std::string_view name) {
    if (!out_.empty()) out_ += ',';
    append_string(out_, name);
    return out_ += ':';
  }

  std::string out_;
};

std::uint64_t wide(std::uint32_t value) {
  return value;
}

std::uint64_t age_s(const PublishedContext& page, std::uint64_t now_ns) {
  return (now_ns - std::min(now_ns, page.report.published_ns)) / 1'000'000'000;
}

std::string ring_json(const RingUtilization& ring) {
  return Fields()
      .number("slots", wide(ring.slots))
      .number("now", ring.now)
      .number("mean", ring.mean)
      .number("peak", ring.peak)
      .text("advice", ring_advice(ring))
      .object();
}

std::string context_json(const PublishedContext& page, std::uint64_t now_ns) {
  Fields fields;
  fields.text("name", page.name)
      .number("pid", wide(page.header.pid))
      .number("number", wide(page.header.number))
      .text("process", to_string(page.owner))
      .text("problem", page.problem);
  if (!page.problem.empty()) return fields.object();
  const StatisticsReport& report = page.report;
  const ExecutionStatistics& s = report.statistics;
  return fields.text("program", page.identity.program)
      .text("state", to_string(report.state))
      .text("executor", to_string(static_cast<ExecutorKind>(report.executor)))
      .text("scope", to_string(static_cast<Scope>(page.identity.scope)))
      .text("description", report.description)
      .number("submitted", s.submitted)
      .number("completed", s.completed)
      .number("failed", s.failed)
      .number("dropped", s.dropped)
      .number("in_flight", s.in_flight)
      .number("submitted_per_second", report.submitted_per_second)
      .number("config_overflows", s.config_overflows)
      .number("telemetry_overflows", s.telemetry_overflows)
      .raw("config_ring", ring_json(s.config_ring))
      .raw("telemetry_ring", ring_json(s.telemetry_ring))
      .number("p50_ns", s.queue_to_visible.p50_ns)
      .number("p99_ns", s.queue_to_visible.p99_ns)
      .number("parks", s.parks)
      .number("heartbeat_age_s", age_s(page, now_ns))
      .text("hang", report.hang)
      .object();
}

/// Metric families of contexts.
class Families {
 public:
  Families(const std::vector<PublishedContext>& pages, std::string& out)
      : pages_(pages), out_(out) {}

  /// `samples` gets a page and `put(labels, value)`.
  template <class Samples>
  void add(const std::string& name, const char* type, const char* help, Samples samples) {
    const std::string metric = "aatgs_context_" + name;
    out_ += "# HELP " + metric + " " + help + "\n# TYPE " + metric + " " + type + "\n";
    for (const PublishedContext& page : pages_) {
      if (!page.problem.empty()) continue;
      const std::string context = prometheus_label("context", page.name);
      samples(page, [&](const std::string& labels, auto value) {
        out_ += metric + "{" + context + labels + "} " + text(value) + "\n";
      });
    }
  }

 private:
  static std::string text(std::uint64_t value) { return std::to_string(value); }
  static std::string text(double value) {
    std::string out;
    append_number(out, value);
    return out == "null" ? "NaN" : out;
  }

  const std::vector<PublishedContext>& pages_;
  std::string& out_;
};

template <class Put, class Value>
void put_rings(const PublishedContext& page, Put put, Value value) {
  put(",ring=\"config\"", value(page.report.statistics.config_ring));
  put(",ring=\"telemetry\"", value(page.report.statistics.telemetry_ring));
}

}  // namespace

std::string contexts_json(const std::vector<PublishedContext>& pages, std::uint64_t now_ns) {
  std::string out;
  for (const PublishedContext& page : pages) {
    out += (out.empty() ? "[" : ",") + context_json(page, now_ns);
  }
  return out.empty() ? "[]" : out + "]";
}

std::string contexts_prometheus(const std::vector<PublishedContext>& pages, std::uint64_t now_ns) {
  std::string out;
  Families families(pages, out);
  families.add("info", "gauge", "A context, and whose it is.", [](const auto& page, auto put) {
    put("," + prometheus_label("program", page.identity.program) + "," +
            prometheus_label("process", to_string(page.owner)) + "," +
            prometheus_label("state", to_string(page.report.state)),
        std::uint64_t{1});
  });
  const auto add_count = [&](const char* name, const char* type, const char* help, auto member) {
    families.add(name, type, help,
                 [member](const auto& page, auto put) { put("", page.report.statistics.*member); });
  };
  using S = ExecutionStatistics;
  add_count("submitted_total", "counter", "Configs accepted.", &S::submitted);
  add_count("completed_total", "counter", "Configs done.", &S::completed);
  add_count("failed_total", "counter", "Configs failed.", &S::failed);
  add_count("dropped_total", "counter", "Configs whose telemetry was lost.", &S::dropped);
  add_count("in_flight", "gauge", "Configs not yet collected.", &S::in_flight);
  families.add("ring_overflows_total", "counter", "Times a ring was found full.",
               [](const auto& page, auto put) {
                 put(",ring=\"config\"", page.report.statistics.config_overflows);
                 put(",ring=\"telemetry\"", page.report.statistics.telemetry_overflows);
               });
  families.add("ring_slots", "gauge", "Slots of a ring.", [](const auto& page, auto put) {
    put_rings(page, put, [](const RingUtilization& ring) { return wide(ring.slots); });
  });
  const auto add_share = [&](const char* name, const char* help, auto member) {
    families.add(name, "gauge", help, [member](const auto& page, auto put) {
      put_rings(page, put, [member](const RingUtilization& ring) { return ring.*member; });
    });
  };
  add_share("ring_used_ratio", "Share of a ring in use.", &RingUtilization::now);
  add_share("ring_used_mean_ratio", "Its mean.", &RingUtilization::mean);
  add_share("ring_used_peak_ratio", "Its peak.", &RingUtilization::peak);
  families.add("heartbeat_age_seconds", "gauge", "Since the last report, in whole seconds.",
               [now_ns](const auto& page, auto put) { put("", age_s(page, now_ns)); });
  return out;
}

}  // namespace aatgs::monitor
