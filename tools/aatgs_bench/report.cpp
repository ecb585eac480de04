// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <aatgs/host/errors.hpp>

namespace aatgs::bench {

const Figure& Report::get(const std::string& name) const {
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [&](const Figure& f) { return f.name == name; });
  if (found == figures.end()) throw Error("the benchmark has no figure '" + name + "'");
  return *found;
}

std::string to_table(const Report& report) {
  char line[256];
  std::string table = report.machine + ", driver " + report.driver + ", " + report.date + "\n\n";
  std::snprintf(line, sizeof line, "%-32s %10s %10s %10s  %s\n", "figure (us)", "p01", "p50", "p99",
                "what");
  table += line;
  for (const Figure& f : report.figures) {
    std::snprintf(line, sizeof line, "%-32s %10.3f %10.3f %10.3f  %s\n", f.name.c_str(), f.p01,
                  f.p50, f.p99, f.what.c_str());
    table += line;
  }
  table += "\ncheck\n";
  for (const auto& [name, value] : report.checks) {
    std::snprintf(line, sizeof line, "%-32s %10.3f\n", name.c_str(), value);
    table += line;
  }
  return table;
}

std::string to_json(const Report& report) {
  nlohmann::ordered_json json;
  json["format"] = "aatgs-bench";
  json["version"] = 1;
  json["machine"] = report.machine;
  json["driver"] = report.driver;
  json["date"] = report.date;
  for (const Figure& f : report.figures) {
    json["figures"][f.name] = {{"what", f.what}, {"p01", f.p01},         {"p50", f.p50},
                               {"p99", f.p99},   {"samples", f.samples}};
  }
  json["checks"] = report.checks;
  return json.dump(2) + "\n";
}

}  // namespace aatgs::bench
