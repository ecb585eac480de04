// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <array>
#include <cmath>
#include <cstdio>

#include "json_text.hpp"
#include "phase_tag.hpp"
#include "text_input.hpp"
#include "times.hpp"
#include "views.hpp"
#include "where.hpp"

namespace aatgs::monitor {
namespace {

constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view red = "\x1b[31m";
constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view dim = "\x1b[2m";
constexpr std::string_view plain = "\x1b[0m";

std::string painted(const std::string& text, std::string_view paint, bool color) {
  if (!color) return text;
  return std::string(paint) + text + std::string(plain);
}

std::string where_it_ran(const Record& record) {
  using Mode = PhaseExecution::Mode;
  switch (record.mode) {
    case Mode::gpu_stream:
      return "[GPU][stream=" + std::to_string(record.number) + "]";
    case Mode::gpu_ticket:
      return "[GPU][ticket=" + std::to_string(record.number) + "]";
    case Mode::cpu_fallback:
      return "[CPU][" + visible(record.reason) + "]";
    case Mode::disabled:
      break;
  }
  return "[OFF]";
}

/// The shortest text that reads back as the same number.
std::string shortest(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

}  // namespace

Format parse_format(const std::string& text) {
  if (text == "text") return Format::text;
  if (text == "jsonl") return Format::jsonl;
  if (text == "csv") return Format::csv;
  throw OptionError("--format '" + printable(text) + "' is none of text, jsonl, csv");
}

std::string fixed(double value, int digits) {
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string progress_line(const Record& record, bool color) {
  std::string name = visible(name_of(record));
  if (name.empty()) name = "step " + std::to_string(record.step);
  const std::string conflicts = "conflicts=" + std::to_string(record.conflicts);
  return painted("[" + phase_tag(record.phase) + "]", bold, color) +
         painted(where_it_ran(record), dim, color) + " " + name +
         " | colors=" + std::to_string(record.chromatic_number) + " " +
         painted(conflicts, record.conflicts == 0 ? green : red, color) + " | " +
         (std::isnan(record.duration_ms) ? "-" : fixed(record.duration_ms, 2)) + " ms";
}

std::string begin_line(const Line& line) {
  const Manifest& manifest = line.manifest;
  return "-- " + visible(line.file) + ": run " + visible(manifest.run_id) + " began " +
         show_utc(manifest.start_unix_ns) +
         (manifest.gpu.empty() ? "" : ", " + visible(manifest.gpu));
}

std::string end_line(const Line& line) {
  const RunEnd& end = line.end;
  return "-- " + visible(line.file) + ": run " + visible(end.run_id) + " ended " +
         show_utc(end.unix_ns) + ": " + std::to_string(end.written) + " records written, " +
         std::to_string(end.dropped) + " dropped, " + std::to_string(end.lost) + " lost" +
         (end.last_error.empty() ? "" : "; " + visible(end.last_error));
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string csv_header() {
  return "run_id,sequence,timestamp,monotonic_ns,phase,step,chromatic_number,conflicts,duration_ms,"
         "mode,stream,ticket,reason,name,parameters,notes\n";
}

std::string csv_row(const Record& record) {
  using Mode = PhaseExecution::Mode;
  const auto json = [](const Json* value) {
    return value == nullptr ? std::string() : csv_field(to_text(value));
  };
  const std::string number = std::to_string(record.number);
  std::string row = csv_field(record.run_id);
  row += "," + std::to_string(record.sequence);
  row += "," + csv_field(record.timestamp);
  row += "," + std::to_string(record.monotonic_ns);
  row += "," + csv_field(record.phase);
  row += "," + std::to_string(record.step);
  row += "," + std::to_string(record.chromatic_number);
  row += "," + std::to_string(record.conflicts);
  row += "," + (std::isnan(record.duration_ms) ? "" : shortest(record.duration_ms));
  row += ",";
  row += mode_name(record.mode);
  row += "," + (record.mode == Mode::gpu_stream ? number : "");
  row += "," + (record.mode == Mode::gpu_ticket ? number : "");
  row += "," + csv_field(record.reason);
  row += "," + csv_field(name_of(record));
  row += "," + json(record.parameters);
  row += "," + json(record.notes);
  return row + "\n";
}

}  // namespace aatgs::monitor
