// SPDX-License-Identifier: Apache-2.0
// How records and summaries are shown.
#pragma once

#include <string>
#include <vector>

#include "line.hpp"
#include "summary.hpp"

namespace aatgs::monitor {

enum class Format {
  text,   ///< for people
  jsonl,  ///< a JSON object on each line; of a record the line of the file itself
  csv,    ///< RFC 4180
};

/// Parses the name. Throws OptionError that lists the choices.
[[nodiscard]] Format parse_format(const std::string& text);

/// Such as "[THERMO][GPU][ticket=42] temp_5 | colors=112 conflicts=0 | 123.45 ms", without the end
/// of the line. `color`: with a terminal's escape sequences.
[[nodiscard]] std::string progress_line(const Record& record, bool color);

/// What begins and ends a run, for people.
[[nodiscard]] std::string begin_line(const Line& manifest);
[[nodiscard]] std::string end_line(const Line& summary);

/// The fields of a record as CSV, and their names; each ends with a newline.
[[nodiscard]] std::string csv_header();
[[nodiscard]] std::string csv_row(const Record& record);

/// The whole of a summary. `now`: for the age of the last record of a run that has not ended.
[[nodiscard]] std::string show_summary(const Summary& summary, Format format, std::int64_t now);

/// The same in Prometheus' text format (version 0.0.4).
[[nodiscard]] std::string prometheus_text(const Summary& summary);

/// Such as `phase="whcr"`, with what needs it escaped.
[[nodiscard]] std::string prometheus_label(std::string_view name, std::string_view value);

/// One field of a CSV file, in quotes where it needs them.
[[nodiscard]] std::string csv_field(std::string_view text);

/// With so many digits behind the point.
[[nodiscard]] std::string fixed(double value, int digits);

}  // namespace aatgs::monitor
