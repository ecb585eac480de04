// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>

namespace aatgs {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

Format parse_format(const std::string& text) {
  if (text == "text") return Format::text;
  if (text == "json") return Format::json;
  if (text == "csv") return Format::csv;
  throw OptionError("unknown --format '" + text + "': choose one of text, json, csv");
}

std::string fixed(double value, int digits) {
  if (!std::isfinite(value)) return "?";
  char text[400];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string short_count(double value) {
  const char* const units[] = {"", "k", "M", "G"};
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  return fixed(value, unit > 0 && value < 9.95 ? 1 : 0) + units[unit];
}

std::string short_time(std::uint64_t ns) {
  const double value = static_cast<double>(ns);
  if (ns < 1'000) return fixed(value, 0) + "ns";
  if (ns < 1'000'000) return fixed(value / 1e3, 1) + "us";
  if (ns < 1'000'000'000) return fixed(value / 1e6, 1) + "ms";
  return fixed(value / 1e9, 1) + "s";
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i] + std::string(widths[i] - std::min(widths[i], row[i].size()) + 2, ' ');
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string csv(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : ",") + csv_field(row[i]);
    text += "\n";
  }
  return text;
}

}  // namespace aatgs
