// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

namespace aatgs::bench {

void note_no_dependent_launch(const std::string& names) {
  std::cerr
      << names
      << ": left out, since the GPU, or the code as compiled, is of a compute capability below "
         "9.0 and has no programmatic dependent launch"
      << std::endl;
}

void Report::add(const Figure& figure) {
  const std::string name = figure.of.name();
  if (figure.samples == 0) throw Error("'" + name + "' came to no sample");
  std::cerr << name << ": " << figure.p50 << " " << figure.unit << std::endl;
  Rounds& rounds = rounds_.try_emplace(name, Rounds{figures.size(), {}}).first->second;
  rounds.all.push_back(figure);
  if (rounds.at == figures.size()) figures.emplace_back();
  figures[rounds.at] = middle_of(rounds.all);
}

const Figure* Report::find(const std::string& name) const {
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [&](const Figure& f) { return f.of.name() == name; });
  return found == figures.end() ? nullptr : &*found;
}

std::optional<double> Report::median(const std::string& name) const {
  const Figure* f = find(name);
  return f == nullptr ? std::nullopt : std::optional(f->p50);
}

const Figure* Report::best_other(const Case& ours) const {
  const Figure* best = nullptr;
  for (const Figure& f : figures) {
    const bool beside = f.of.group == ours.group && f.of.step == ours.step &&
                        f.of.scope == ours.scope && f.of.step_us == ours.step_us;
    if (!beside || f.of.road == ours.road || f.of.road == automatic_road) continue;
    if (best == nullptr || f.p50 < best->p50) best = &f;
  }
  return best;
}

namespace {

bool is_road(const Figure& f) {
  return f.of.step_us.has_value();
}

template <class... Values>
void print(std::string& table, const char* format, const Values&... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  table += line;
}

void print_figures(const Report& report, std::string& table) {
  print(table, "%-32s %10s %10s %10s %-5s %s\n", "figure", "p01", "p50", "p99", "unit", "what");
  for (const Figure& f : report.figures) {
    if (is_road(f)) continue;
    print(table, "%-32s %10.3f %10.3f %10.3f %-5s %s\n", f.of.name().c_str(), f.p01, f.p50, f.p99,
          f.unit.c_str(), f.what.c_str());
  }
}

void print_roads(const Report& report, std::string& table) {
  print(table, "\n%-42s %10s %10s %10s %10s %7s  %s\n", "us per config", "p01", "p50", "p99",
        "other p50", "ratio", "best other");
  for (const Figure& f : report.figures) {
    if (!is_road(f) || f.of.road != our_road) continue;
    print(table, "%-42s %10.3f %10.3f %10.3f", f.of.name().c_str(), f.p01, f.p50, f.p99);
    const Figure* other = report.best_other(f.of);
    if (other != nullptr) {
      print(table, " %10.3f %7.2f  %s", other->p50, other->p50 / f.p50, other->of.road.c_str());
    }
    table += "\n";
  }
}

}  // namespace

std::string to_table(const Report& report) {
  std::string table = report.machine + ", driver " + report.driver + ", " + report.date + "\n\n";
  print_figures(report, table);
  print_roads(report, table);
  if (!report.checks.empty()) table += "\ncheck\n";
  for (const auto& [name, value] : report.checks) {
    print(table, "%-32s %14.3f\n", name.c_str(), value);
  }
  return table;
}

std::string to_json(const Report& report) {
  nlohmann::ordered_json json;
  json["format"] = "aatgs-bench";
  json["version"] = 2;
  json["machine"] = report.machine;
  json["driver"] = report.driver;
  json["date"] = report.date;
  json["settings"] = report.settings;
  json["figures"] = nlohmann::ordered_json::object();
  for (const Figure& f : report.figures) {
    auto& entry = json["figures"][f.of.name()];
    entry["group"] = f.of.group;
    if (!f.of.step.empty()) entry["step"] = f.of.step;
    if (!f.of.scope.empty()) entry["scope"] = f.of.scope;
    if (f.of.step_us) entry["step_us"] = *f.of.step_us;
    entry["road"] = f.of.road;
    entry["unit"] = f.unit;
    entry["what"] = f.what;
    entry["p01"] = f.p01;
    entry["p50"] = f.p50;
    entry["p99"] = f.p99;
    entry["samples"] = f.samples;
    if (f.against_best) entry["against_best"] = *f.against_best;
  }
  json["checks"] = report.checks;
  // The settings are whatever bytes the command line had.
  constexpr auto replace = nlohmann::ordered_json::error_handler_t::replace;
  return json.dump(2, ' ', false, replace) + "\n";
}

}  // namespace aatgs::bench
