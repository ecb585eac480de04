// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/stream/stream_profile.hpp>
#include <algorithm>
#include <cstdio>

#include "../json_text.hpp"

namespace aatgs {

namespace {

double in_us(std::chrono::nanoseconds time) {
  return static_cast<double>(time.count()) * 1e-3;
}

std::string row(const ProfiledOperation& operation) {
  char figures[128];
  std::snprintf(figures, sizeof(figures), "%10llu %14.1f %12.2f %12.2f %12.2f",
                static_cast<unsigned long long>(operation.count), in_us(operation.total),
                in_us(operation.mean()), in_us(operation.shortest), in_us(operation.longest));
  std::string text = "  " + operation.name;
  text.resize(std::max<std::size_t>(text.size() + 1, 26), ' ');
  std::string kind(to_string(operation.kind));
  kind.resize(10, ' ');
  text += kind + figures;
  if (operation.kind == ProfiledKind::transfer) {
    std::snprintf(figures, sizeof(figures), " %10.2f", operation.gb_per_s());
    text += figures;
  }
  return text + "\n";
}

void add_time(std::string& out, const char* key, std::chrono::nanoseconds time) {
  out += std::string(",\"") + key + "\":";
  append_number(out, static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0)));
}

void add_count(std::string& out, const char* key, std::uint64_t value) {
  out += std::string(",\"") + key + "\":";
  append_number(out, value);
}

void add_operation(std::string& out, const ProfiledOperation& operation) {
  out += "{\"name\":";
  append_string(out, operation.name);
  out += ",\"kind\":";
  append_string(out, to_string(operation.kind));
  add_count(out, "count", operation.count);
  add_time(out, "total_ns", operation.total);
  add_time(out, "mean_ns", operation.mean());
  add_time(out, "shortest_ns", operation.shortest);
  add_time(out, "longest_ns", operation.longest);
  if (operation.kind == ProfiledKind::transfer) {
    add_count(out, "bytes", operation.bytes);
    out += ",\"gb_per_s\":";
    append_number(out, operation.gb_per_s());
  }
  out += '}';
}

}  // namespace

std::string_view to_string(ProfiledKind kind) {
  switch (kind) {
    case ProfiledKind::operation:
      return "operation";
    case ProfiledKind::transfer:
      return "transfer";
    case ProfiledKind::launch:
      break;
  }
  return "launch";
}

std::string ProfiledStream::text() const {
  char line[160];
  std::snprintf(line, sizeof(line), " (id %llu), busy %.1f us\n",
                static_cast<unsigned long long>(id), in_us(busy));
  std::string text = name + line;
  std::snprintf(line, sizeof(line), "  %-24s%-10s%10s %14s %12s %12s %12s %10s\n", "name", "kind",
                "count", "total us", "mean us", "shortest us", "longest us", "GB/s");
  text += line;
  for (const ProfiledOperation& operation : operations) text += row(operation);
  return text;
}

std::string StreamProfile::text() const {
  char line[160];
  std::snprintf(line, sizeof(line), ": %.1f us, busy %.1f us, %.2f streams at once\n", in_us(span),
                in_us(busy), overlap());
  std::string text = device + line;
  for (const ProfiledStream& stream : streams) text += stream.text();
  const auto note = [&](std::uint64_t number, const char* what) {
    if (number != 0) text += std::to_string(number) + what;
  };
  note(running, " operations are not done and not in here\n");
  note(untimed, " operations were given while captured and not timed\n");
  note(without_place, " operations were beyond most_records: they are in no busy time\n");
  return text;
}

std::string StreamProfile::json() const {
  std::string out = "{\"device\":";
  append_string(out, device);
  add_time(out, "span_ns", span);
  add_time(out, "busy_ns", busy);
  out += ",\"overlap\":";
  append_number(out, overlap());
  add_count(out, "running", running);
  add_count(out, "untimed", untimed);
  add_count(out, "without_place", without_place);
  out += ",\"streams\":[";
  for (const ProfiledStream& stream : streams) {
    out += &stream == &streams.front() ? "{\"name\":" : ",\n{\"name\":";
    append_string(out, stream.name);
    add_count(out, "id", stream.id);
    add_time(out, "busy_ns", stream.busy);
    out += ",\"operations\":[";
    for (const ProfiledOperation& operation : stream.operations) {
      if (&operation != &stream.operations.front()) out += ",\n";
      add_operation(out, operation);
    }
    out += "]}";
  }
  return out + "]}\n";
}

}  // namespace aatgs
