// SPDX-License-Identifier: Apache-2.0
#include "profile_records.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "../chrome_trace.hpp"
#include "../json_text.hpp"

namespace aatgs::detail {

namespace {

using std::chrono::nanoseconds;
using Times = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The length of what the intervals cover together.
nanoseconds covered(Times times) {
  std::sort(times.begin(), times.end());
  std::int64_t sum = 0;
  // Not 0: what a stream did before the profiler's clock began has times below that.
  std::int64_t end = std::numeric_limits<std::int64_t>::min();
  for (const auto& [from, to] : times) {
    const std::int64_t start = std::max(from, end);
    if (to <= start) continue;
    sum += to - start;
    end = to;
  }
  return nanoseconds(sum);
}

}  // namespace

std::uint32_t ProfileRecords::stream_index(std::uint64_t id, const std::string& name) {
  for (std::uint32_t i = 0; i < streams.size(); ++i) {
    if (streams[i].id == id) return i;
  }
  streams.push_back({name, id, {}, nanoseconds(0)});
  return static_cast<std::uint32_t>(streams.size()) - 1;
}

std::uint32_t ProfileRecords::operation_index(std::uint32_t stream, ProfiledKind kind,
                                              const std::string& name) {
  auto& operations = streams[stream].operations;
  for (std::uint32_t i = 0; i < operations.size(); ++i) {
    if (operations[i].kind == kind && operations[i].name == name) return i;
  }
  operations.emplace_back();
  operations.back().name = name;
  operations.back().kind = kind;
  return static_cast<std::uint32_t>(operations.size()) - 1;
}

bool ProfileRecords::add(const ProfileRecord& record, std::size_t most_records) {
  ProfiledOperation& sum = streams[record.stream].operations[record.operation];
  const nanoseconds time(record.end_ns - record.begin_ns);
  sum.shortest = sum.count == 0 ? time : std::min(sum.shortest, time);
  sum.longest = std::max(sum.longest, time);
  sum.total += time;
  sum.bytes += record.bytes;
  ++sum.count;
  if (records.size() >= most_records) return false;
  records.push_back(record);
  return true;
}

StreamProfile ProfileRecords::report(const std::string& device) const {
  StreamProfile profile;
  profile.device = device;
  profile.streams = streams;
  Times all;
  std::vector<Times> own(streams.size());
  for (const ProfileRecord& record : records) {
    all.emplace_back(record.begin_ns, record.end_ns);
    own[record.stream].emplace_back(record.begin_ns, record.end_ns);
  }
  for (std::size_t i = 0; i < streams.size(); ++i) {
    ProfiledStream& stream = profile.streams[i];
    stream.busy = covered(std::move(own[i]));
    profile.all_busy += stream.busy;
    std::erase_if(stream.operations, [](const auto& operation) { return operation.count == 0; });
    std::stable_sort(stream.operations.begin(), stream.operations.end(),
                     [](const auto& a, const auto& b) { return a.total > b.total; });
  }
  std::sort(profile.streams.begin(), profile.streams.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  if (!all.empty()) {
    std::int64_t first = all.front().first;
    std::int64_t last = all.front().second;
    for (const auto& [from, to] : all) {
      first = std::min(first, from);
      last = std::max(last, to);
    }
    profile.span = nanoseconds(last - first);
  }
  profile.busy = covered(std::move(all));
  return profile;
}

std::string ProfileRecords::trace(const std::string& device) const {
  constexpr std::uint32_t process = 1;
  ChromeTrace trace;
  trace.name_process(process, device);
  for (std::uint32_t i = 0; i < streams.size(); ++i) {
    trace.name_track(process, i + 1, streams[i].name);
  }
  std::int64_t origin = 0;
  for (const ProfileRecord& record : records) origin = std::min(origin, record.begin_ns);
  for (const ProfileRecord& record : records) {
    const ProfiledOperation& operation = streams[record.stream].operations[record.operation];
    std::string args = "{\"kind\":";
    append_string(args, to_string(operation.kind));
    if (operation.kind == ProfiledKind::transfer) {
      args += ",\"bytes\":";
      append_number(args, record.bytes);
      args += ",\"gb_per_s\":";
      append_number(args, static_cast<double>(record.bytes) /
                              static_cast<double>(record.end_ns - record.begin_ns));
    }
    args += '}';
    trace.span(process, record.stream + 1, operation.name,
               static_cast<std::uint64_t>(record.begin_ns - origin),
               static_cast<std::uint64_t>(record.end_ns - origin), args);
  }
  return trace.whole();
}

}  // namespace aatgs::detail
