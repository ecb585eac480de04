// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace aatgs::soak {

namespace {

template <class... Values>
void print(std::string& table, const char* format, const Values&... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  table += line;
}

unsigned long long wide(std::uint64_t value) {
  return value;
}

double mib(std::optional<std::int64_t> bytes) {
  return static_cast<double>(bytes.value_or(0)) / (1 << 20);
}

nlohmann::ordered_json steps_json(const MemorySeries& series) {
  auto json = nlohmann::ordered_json::array();
  for (const MemoryStep& step : series.steps()) {
    json.push_back({{"at", step.piece},
                    {"bytes", step.bytes()},
                    {"after_bytes", step.after},
                    {"about", step.about}});
  }
  return json;
}

nlohmann::ordered_json memory_json(const MemorySeries& series) {
  if (series.size() == 0) return nullptr;
  nlohmann::ordered_json json;
  json["samples"] = series.size();
  json["first_bytes"] = series.first();
  json["last_bytes"] = series.last();
  json["outline_bytes"] = series.outline(24);
  json["slope_bytes_per_sample"] = series.slope();
  const auto growth = series.growth();
  json["growth_bytes"] = growth ? nlohmann::ordered_json(*growth) : nlohmann::ordered_json(nullptr);
  json["step_count"] = series.step_count();
  json["steps"] = steps_json(series);
  return json;
}

nlohmann::ordered_json part_json(const PartResult& part) {
  const Tally& t = part.tally;
  nlohmann::ordered_json json;
  json["unit"] = part.unit;
  json["goal"] = part.goal;
  json["done"] = part.done;
  json["seconds"] = part.seconds;
  json["contexts"] = t.contexts;
  json["configs"] = t.configs;
  json["collected"] = t.collected;
  json["failed_on_word"] = t.failed_on_word;
  json["dropped"] = t.dropped;
  json["parks"] = t.parks;
  json["lost"] = t.lost;
  json["doubled"] = t.doubled;
  json["torn"] = t.torn;
  json["wrong"] = t.wrong;
  json["other"] = t.other;
  json["errors"] = t.errors();
  if (!t.first.empty()) json["first_error"] = t.first;
  json["device_memory"] = memory_json(part.device);
  json["host_memory"] = memory_json(part.host);
  return json;
}

}  // namespace

std::uint64_t Report::errors() const {
  std::uint64_t sum = 0;
  for (const PartResult& part : parts) sum += part.tally.errors();
  return sum;
}

std::string to_table(const Report& report) {
  std::string table = report.machine + ", driver " + report.driver + ", " + report.date +
                      ", executor " + report.executor + ", seed " + std::to_string(report.seed) +
                      "\n\n";
  print(table, "%-7s %10s %10s %8s %13s %13s %11s %8s %5s %7s %5s %5s %5s %9s %9s\n", "part",
        "done", "of", "contexts", "configs", "right", "dropped", "parks", "lost", "doubled", "torn",
        "wrong", "other", "gpu +MiB", "host +MiB");
  for (const PartResult& part : report.parts) {
    const Tally& t = part.tally;
    print(table,
          "%-7s %10llu %10llu %8llu %13llu %13llu %11llu %8llu %5llu %7llu %5llu %5llu %5llu",
          part.name.c_str(), wide(part.done), wide(part.goal), wide(t.contexts), wide(t.configs),
          wide(t.collected), wide(t.dropped), wide(t.parks), wide(t.lost), wide(t.doubled),
          wide(t.torn), wide(t.wrong), wide(t.other));
    print(table, " %9.2f %9.2f  %.1f s\n", mib(part.device.growth()), mib(part.host.growth()),
          part.seconds);
  }
  for (const PartResult& part : report.parts) {
    if (part.tally.errors() == 0) continue;
    table += "\n" + part.name + ": " + std::to_string(part.tally.errors()) +
             " errors, the first: " + part.tally.first + "\n";
  }
  table += report.errors() == 0 ? "\nNo errors.\n" : "\nERRORS.\n";
  return table;
}

std::string to_json(const Report& report) {
  nlohmann::ordered_json json;
  json["format"] = "aatgs-soak";
  json["version"] = 1;
  json["machine"] = report.machine;
  json["driver"] = report.driver;
  json["date"] = report.date;
  json["options"] = report.options;
  json["executor"] = report.executor;
  json["seed"] = report.seed;
  json["errors"] = report.errors();
  json["parts"] = nlohmann::ordered_json::object();
  for (const PartResult& part : report.parts) json["parts"][part.name] = part_json(part);
  return json.dump(2) + "\n";
}

}  // namespace aatgs::soak
