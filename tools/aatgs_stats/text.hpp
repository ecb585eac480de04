// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace aatgs {

/// How something is shown.
enum class Format {
  text,  ///< tables for people
  json,  ///< everything that is known
  csv,   ///< the numbers of the table
};

/// Parses the name. Throws `OptionError` that lists the choices.
Format parse_format(const std::string& text);

/// `?` for what is no finite number.
std::string fixed(double value, int digits);
/// Three digits and a unit, for a narrow column.
std::string short_count(double value);
std::string short_time(std::uint64_t ns);

using Row = std::vector<std::string>;

/// Columns as wide as they must be; the last is free. At least one row.
std::string table(const std::vector<Row>& rows);
std::string csv(const std::vector<Row>& rows);

}  // namespace aatgs
