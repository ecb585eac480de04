// SPDX-License-Identifier: Apache-2.0
#include "metric_lines.hpp"

#include <aatgs/host/version.hpp>

#include "json_text.hpp"

namespace aatgs {

namespace {

void append_field(std::string& out, std::string_view key, std::uint64_t value) {
  out += ",\"";
  out += key;
  out += "\":";
  append_number(out, value);
}

template <std::uint16_t Capacity>
void append_text(std::string& out, const FixedText<Capacity>& text) {
  append_string(out, text.view(), text.cut());
}

/// What every line but its type begins with.
void append_stamp(std::string& out, const RunMetric& metric) {
  out += ",\"run_id\":";
  append_text(out, metric.run_id);
  append_field(out, "sequence", metric.sequence);
  out += ",\"timestamp\":";
  append_utc(out, metric.unix_ns);
  append_field(out, "monotonic_ns", metric.monotonic_ns);
}

void append_execution(std::string& out, const PhaseExecution& execution) {
  using Mode = PhaseExecution::Mode;
  switch (execution.mode) {
    case Mode::gpu_stream:
      out += "{\"mode\":\"gpu\"";
      append_field(out, "stream", execution.number);
      break;
    case Mode::gpu_ticket:
      out += "{\"mode\":\"gpu\"";
      append_field(out, "ticket", execution.number);
      break;
    case Mode::cpu_fallback:
      out += "{\"mode\":\"cpu_fallback\",\"reason\":";
      append_text(out, execution.reason);
      break;
    case Mode::disabled:
      out += "{\"mode\":\"disabled\"";
      break;
  }
  out += '}';
}

/// Returns 1 where the text could not be taken as it is.
unsigned append_user_json(std::string& out, const FixedText<253>& text) {
  if (text.view().empty()) {
    out += "null";
    return 0;
  }
  if (!text.cut() && is_json(text.view())) {
    append_json(out, text.view());
    return 0;
  }
  out += text.cut() ? "{\"cut\":" : "{\"not_json\":";
  append_text(out, text);
  out += '}';
  return 1;
}

}  // namespace

void PhaseCounts::add(const FixedText<29>& name) {
  for (Entry& entry : entries_) {
    if (entry.name.view() == name.view() && entry.name.cut() == name.cut()) {
      ++entry.count;
      return;
    }
  }
  if (entries_.size() < most) {
    entries_.push_back({name, 1});
  } else {
    ++others_;
  }
}

void PhaseCounts::append_to(std::string& out) const {
  out += '{';
  for (const Entry& entry : entries_) {
    if (out.back() != '{') out += ',';
    append_text(out, entry.name);
    out += ':';
    append_number(out, entry.count);
  }
  out += '}';
  append_field(out, "records_of_other_phases", others_);
}

void append_manifest(std::string& out, const TelemetryOptions& options,
                     const ManifestFacts& facts) {
  out += R"({"type":"manifest","format":"aatgs-telemetry","format_version":1,"library_version":)";
  append_string(out, library_version());
  out += ",\"run_id\":";
  append_string(out, options.run_id);
  append_field(out, "part", facts.part);
  out += ",\"start_time\":";
  append_utc(out, facts.start_unix_ns);
  append_field(out, "start_monotonic_ns", facts.start_monotonic_ns);
  out += ",\"gpu\":";
  if (options.gpu.empty()) {
    out += "null";
  } else {
    append_string(out, options.gpu);
  }
  out += ",\"options\":";
  append_json(out, options.options_json.empty() ? "null" : options.options_json);
  out += "}\n";
}

unsigned append_metric(std::string& out, const RunMetric& metric) {
  out += R"({"type":"metric")";
  append_stamp(out, metric);
  out += ",\"phase\":";
  append_text(out, metric.phase);
  append_field(out, "step", metric.step);
  append_field(out, "chromatic_number", metric.chromatic_number);
  append_field(out, "conflicts", metric.conflicts);
  out += ",\"duration_ms\":";
  append_number(out, metric.duration_ms);
  out += ",\"execution\":";
  append_execution(out, metric.execution);
  out += ",\"parameters\":";
  unsigned wrong = append_user_json(out, metric.parameters);
  out += ",\"notes\":";
  wrong += append_user_json(out, metric.notes);
  out += "}\n";
  return wrong;
}

void append_summary(std::string& out, const RunMetric& stamp, const TelemetryStatus& status,
                    const PhaseCounts& phases) {
  out += R"({"type":"summary")";
  append_stamp(out, stamp);
  append_field(out, "recorded", status.recorded);
  append_field(out, "written", status.written);
  append_field(out, "dropped", status.dropped);
  append_field(out, "lost", status.lost);
  append_field(out, "not_json", status.not_json);
  append_field(out, "write_errors", status.write_errors);
  append_field(out, "parts", status.parts);
  out += ",\"last_error\":";
  append_string(out, std::string_view(status.last_error).substr(0, 512));
  out += ",\"phases\":";
  phases.append_to(out);
  out += "}\n";
}

}  // namespace aatgs
