// SPDX-License-Identifier: Apache-2.0
// What a line of a run file says. Texts are views that live until the next line is parsed.
#pragma once

#include <aatgs/host/run_metric.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace aatgs::monitor {

/// A JSON value inside a line.
class Json;

/// Nothing (null, absent, an object, an array), a number, or a text ("true" and "false" too).
using Scalar = std::variant<std::monostate, double, std::string_view>;

/// What lies at a path such as "schedule.temperature"; the empty path is the value itself. A null
/// pointer is a JSON null.
[[nodiscard]] Scalar find(const Json* json, std::string_view path);

/// The value as JSON without spaces.
[[nodiscard]] std::string to_text(const Json* json);

/// A line "type":"metric".
struct Record {
  std::string_view run_id;
  std::uint64_t sequence = 0;
  std::string_view timestamp;
  std::int64_t unix_ns = 0;  ///< the timestamp
  std::uint64_t monotonic_ns = 0;
  std::string_view phase;
  std::uint64_t step = 0;
  std::uint64_t chromatic_number = 0;  ///< 0: not told
  std::uint64_t conflicts = 0;
  double duration_ms = RunMetric::unknown;  ///< NaN where the file has null
  PhaseExecution::Mode mode = PhaseExecution::Mode::disabled;
  std::uint64_t number = 0;  ///< of the stream or the ticket
  std::string_view reason;   ///< of the CPU fallback
  const Json* parameters = nullptr;
  const Json* notes = nullptr;
};

/// How the record's step calls itself: the text "name" of its notes or parameters, or notes that
/// are a text. Empty where there is none.
[[nodiscard]] std::string_view name_of(const Record& record);

/// A line "type":"manifest": every part of a run begins with one.
struct Manifest {
  std::string_view run_id;
  std::string_view library_version;
  std::uint64_t part = 0;
  std::int64_t start_unix_ns = 0;
  std::uint64_t start_monotonic_ns = 0;
  std::string_view gpu;  ///< empty: none
  const Json* options = nullptr;
};

/// A line "type":"summary": the end of a run.
struct RunEnd {
  std::string_view run_id;
  std::uint64_t sequence = 0;  ///< of the next record, had there been one
  std::int64_t unix_ns = 0;
  std::uint64_t recorded = 0;
  std::uint64_t written = 0;
  std::uint64_t dropped = 0;
  std::uint64_t lost = 0;
  std::uint64_t write_errors = 0;
  std::uint64_t parts = 1;
  std::string_view last_error;
};

struct Line {
  /// `other`: a type that this version does not know; it is passed over.
  enum class Type : std::uint8_t { manifest, metric, summary, other };

  Type type = Type::other;
  Record record;      // of the type `metric`
  Manifest manifest;  // of the type `manifest`
  RunEnd end;         // of the type `summary`

  std::string_view text;     ///< the line as it is, without its end
  std::string_view file;     ///< where it stands, where a file was read
  std::uint64_t number = 0;  ///< from 1
};

}  // namespace aatgs::monitor
