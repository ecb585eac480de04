// SPDX-License-Identifier: Apache-2.0
#include "line_parser.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <new>

#include "text_input.hpp"
#include "times.hpp"

namespace aatgs::monitor {

namespace dom = simdjson::dom;

class Json {
 public:
  dom::element element;
};

namespace {

[[noreturn]] void fail(std::string_view key, std::string_view reason) {
  throw LineError("\"" + std::string(key) + "\" " + std::string(reason), true);
}

std::uint64_t whole_number(const dom::key_value_pair& field) {
  std::uint64_t value = 0;
  if (field.value.get(value) != simdjson::SUCCESS) {
    fail(field.key, "is not a whole number from 0 to 2^64 - 1");
  }
  return value;
}

std::string_view text_of(const dom::key_value_pair& field) {
  std::string_view value;
  if (field.value.get(value) != simdjson::SUCCESS) fail(field.key, "is not a text");
  return value;
}

std::int64_t time_of(const dom::key_value_pair& field) {
  const auto time = parse_utc(text_of(field));
  if (!time) fail(field.key, "is not a time such as 2026-01-31T12:00:00.5Z");
  return *time;
}

double number_or_null(const dom::key_value_pair& field) {
  double value = RunMetric::unknown;
  if (!field.value.is_null() && field.value.get(value) != simdjson::SUCCESS) {
    fail(field.key, "is neither a number nor null");
  }
  return value;
}

/// `json` with the value, or nothing for null.
const Json* kept(const dom::key_value_pair& field, Json& json) {
  json.element = field.value;
  return field.value.is_null() ? nullptr : &json;
}

void read_execution(const dom::key_value_pair& field, Record& record) {
  using Mode = PhaseExecution::Mode;
  dom::object parts;
  if (field.value.get(parts) != simdjson::SUCCESS) fail(field.key, "is not an object");
  std::string_view mode;
  bool stream = false;
  for (const dom::key_value_pair part : parts) {
    if (part.key == "mode") {
      mode = text_of(part);
    } else if (part.key == "stream" || part.key == "ticket") {
      record.number = whole_number(part);
      stream = part.key == "stream";
    } else if (part.key == "reason") {
      record.reason = text_of(part);
    }
  }
  if (mode == "gpu") {
    record.mode = stream ? Mode::gpu_stream : Mode::gpu_ticket;
  } else if (mode == "cpu_fallback") {
    record.mode = Mode::cpu_fallback;
  } else if (mode != "disabled") {
    fail("mode", "is none of gpu, cpu_fallback, disabled");
  }
}

}  // namespace

struct LineParser::State {
  dom::parser parser;
  std::string text;  // of the line, with the padding that simdjson reads
  Line line;
  Json parameters, notes;

  dom::element document();
};

namespace {

using State = LineParser::State;

/// A field of a line: what becomes of it.
struct Rule {
  std::string_view key;
  bool required;
  void (*read)(State& s, const dom::key_value_pair& field);
};

constexpr std::array metric_rules{
    Rule{"type", true, [](State&, const auto&) {}},
    Rule{"run_id", false, [](State& s, const auto& f) { s.line.record.run_id = text_of(f); }},
    Rule{"sequence", true,
         [](State& s, const auto& f) { s.line.record.sequence = whole_number(f); }},
    Rule{"timestamp", true,
         [](State& s, const auto& f) {
           s.line.record.timestamp = text_of(f);
           s.line.record.unix_ns = time_of(f);
         }},
    Rule{"monotonic_ns", false,
         [](State& s, const auto& f) { s.line.record.monotonic_ns = whole_number(f); }},
    Rule{"phase", true, [](State& s, const auto& f) { s.line.record.phase = text_of(f); }},
    Rule{"step", true, [](State& s, const auto& f) { s.line.record.step = whole_number(f); }},
    Rule{"chromatic_number", true,
         [](State& s, const auto& f) { s.line.record.chromatic_number = whole_number(f); }},
    Rule{"conflicts", true,
         [](State& s, const auto& f) { s.line.record.conflicts = whole_number(f); }},
    Rule{"duration_ms", false,
         [](State& s, const auto& f) { s.line.record.duration_ms = number_or_null(f); }},
    Rule{"execution", false, [](State& s, const auto& f) { read_execution(f, s.line.record); }},
    Rule{"parameters", false,
         [](State& s, const auto& f) { s.line.record.parameters = kept(f, s.parameters); }},
    Rule{"notes", false, [](State& s, const auto& f) { s.line.record.notes = kept(f, s.notes); }},
};

constexpr std::array manifest_rules{
    Rule{"type", true, [](State&, const auto&) {}},
    Rule{"format", true,
         [](State&, const auto& f) {
           if (text_of(f) != "aatgs-telemetry") fail(f.key, "is not \"aatgs-telemetry\"");
         }},
    Rule{"format_version", true,
         [](State&, const auto& f) {
           if (whole_number(f) != 1) {
             fail(f.key, "is not 1, the one that this program reads: take that of the library");
           }
         }},
    Rule{"library_version", false,
         [](State& s, const auto& f) { s.line.manifest.library_version = text_of(f); }},
    Rule{"run_id", true, [](State& s, const auto& f) { s.line.manifest.run_id = text_of(f); }},
    Rule{"part", true, [](State& s, const auto& f) { s.line.manifest.part = whole_number(f); }},
    Rule{"start_time", true,
         [](State& s, const auto& f) { s.line.manifest.start_unix_ns = time_of(f); }},
    Rule{"start_monotonic_ns", false,
         [](State& s, const auto& f) { s.line.manifest.start_monotonic_ns = whole_number(f); }},
    Rule{"gpu", false,
         [](State& s, const auto& f) {
           if (!f.value.is_null()) s.line.manifest.gpu = text_of(f);
         }},
    Rule{"options", false,
         [](State& s, const auto& f) { s.line.manifest.options = kept(f, s.parameters); }},
};

constexpr std::array summary_rules{
    Rule{"type", true, [](State&, const auto&) {}},
    Rule{"run_id", false, [](State& s, const auto& f) { s.line.end.run_id = text_of(f); }},
    Rule{"sequence", true, [](State& s, const auto& f) { s.line.end.sequence = whole_number(f); }},
    Rule{"timestamp", true, [](State& s, const auto& f) { s.line.end.unix_ns = time_of(f); }},
    Rule{"recorded", false, [](State& s, const auto& f) { s.line.end.recorded = whole_number(f); }},
    Rule{"written", true, [](State& s, const auto& f) { s.line.end.written = whole_number(f); }},
    Rule{"dropped", false, [](State& s, const auto& f) { s.line.end.dropped = whole_number(f); }},
    Rule{"lost", false, [](State& s, const auto& f) { s.line.end.lost = whole_number(f); }},
    Rule{"write_errors", false,
         [](State& s, const auto& f) { s.line.end.write_errors = whole_number(f); }},
    Rule{"parts", false, [](State& s, const auto& f) { s.line.end.parts = whole_number(f); }},
    Rule{"last_error", false, [](State& s, const auto& f) { s.line.end.last_error = text_of(f); }},
};

template <std::size_t N>
void read_fields(State& s, const dom::object& fields, const std::array<Rule, N>& rules) {
  unsigned found = 0;
  std::size_t at = 0;  // most come in the order of the rules
  for (const dom::key_value_pair field : fields) {
    const auto is_it = [&](const Rule& rule) { return rule.key == field.key; };
    if (at >= N || !is_it(rules[at])) {
      const auto* rule = std::find_if(rules.begin(), rules.end(), is_it);
      if (rule == rules.end()) continue;
      at = static_cast<std::size_t>(rule - rules.begin());
    }
    rules[at].read(s, field);
    found |= 1U << at++;
  }
  for (std::size_t i = 0; i < N; ++i) {
    if (rules[i].required && (found >> i & 1U) == 0) {
      throw LineError("has no \"" + std::string(rules[i].key) + "\"", true);
    }
  }
}

bool fits_64_bits(std::string_view number) {
  const char* end = number.data() + number.size();
  std::int64_t negative = 0;
  std::uint64_t positive = 0;
  return std::from_chars(number.data(), end, negative).ec == std::errc() ||
         std::from_chars(number.data(), end, positive).ec == std::errc();
}

/// simdjson has no integers beyond 64 bits; JSON has. An exponent makes them floating-point.
std::string with_exponents(std::string_view document) {
  std::string out;
  bool inside = false;  // of a string
  for (std::size_t i = 0; i < document.size();) {
    const char c = document[i];
    std::size_t length = 1;
    bool huge = false;
    if (inside && c == '\\') {
      length = 2;
    } else if (c == '"') {
      inside = !inside;
    } else if (!inside && (c == '-' || (c >= '0' && c <= '9'))) {
      length = std::min(document.find_first_not_of("0123456789.eE+-", i), document.size()) - i;
      const std::string_view number = document.substr(i, length);
      huge = number.find_first_of(".eE") == number.npos && !fits_64_bits(number);
    }
    out += document.substr(i, length);
    if (huge) out += "e0";
    i += length;
  }
  return out;
}

}  // namespace

dom::element LineParser::State::document() {
  dom::element element;
  const auto parse = [&] {
    text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    return parser.parse(text.data(), text.size(), false).get(element);
  };
  auto error = parse();
  if (error == simdjson::NUMBER_ERROR) {
    text = with_exponents(text);
    error = parse();
  }
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  if (error != simdjson::SUCCESS) {
    throw LineError("is not JSON: '" + printable(text, 60) + "'", false);
  }
  return element;
}

LineParser::LineParser() : state_(std::make_unique<State>()) {}

LineParser::~LineParser() = default;

Line& LineParser::parse(std::string_view text) {
  State& s = *state_;
  s.text = text;
  s.line.text = text;
  dom::object fields;
  if (s.document().get(fields) != simdjson::SUCCESS) throw LineError("is not a JSON object", true);
  std::string_view type;
  if (fields["type"].get(type) != simdjson::SUCCESS) {
    throw LineError("has no \"type\", so it is no line of a run's telemetry", true);
  }
  s.line.type = Line::Type::other;
  if (type == "metric") {
    s.line.type = Line::Type::metric;
    s.line.record = {};
    read_fields(s, fields, metric_rules);
  } else if (type == "manifest") {
    s.line.type = Line::Type::manifest;
    s.line.manifest = {};
    read_fields(s, fields, manifest_rules);
  } else if (type == "summary") {
    s.line.type = Line::Type::summary;
    s.line.end = {};
    read_fields(s, fields, summary_rules);
  }
  return s.line;
}

Scalar find(const Json* json, std::string_view path) {
  if (json == nullptr) return {};
  dom::element at = json->element;
  while (!path.empty()) {
    const std::size_t length = std::min(path.find('.'), path.size());
    dom::object fields;
    if (at.get(fields) != simdjson::SUCCESS) return {};
    if (fields[path.substr(0, length)].get(at) != simdjson::SUCCESS) return {};
    path.remove_prefix(std::min(length + 1, path.size()));
  }
  if (at.is_string()) return std::string_view(at);
  if (at.is_number()) return double(at);
  if (at.is_bool()) return std::string_view(bool(at) ? "true" : "false");
  return {};
}

std::string to_text(const Json* json) {
  return json == nullptr ? "null" : simdjson::minify(json->element);
}

std::string_view name_of(const Record& record) {
  for (const auto& [json, path] :
       {std::pair{record.notes, "name"}, std::pair{record.parameters, "name"},
        std::pair{record.notes, ""}}) {
    const Scalar found = find(json, path);
    if (const auto* name = std::get_if<std::string_view>(&found)) return *name;
  }
  return {};
}

}  // namespace aatgs::monitor
