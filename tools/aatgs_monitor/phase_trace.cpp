// SPDX-License-Identifier: Apache-2.0
#include "phase_trace.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "chrome_trace.hpp"
#include "json_text.hpp"

namespace aatgs::monitor {
namespace {

constexpr double longest_ms = 1e12;  // 30 years; what claims more is no duration

std::int64_t to_ns(double ms) {
  return std::isfinite(ms) && ms > 0 ? static_cast<std::int64_t>(std::min(ms, longest_ms) * 1e6)
                                     : 0;
}

}  // namespace

std::uint32_t PhaseTrace::process_of(const Record& record) {
  const auto next = static_cast<std::uint32_t>(processes_.size()) + 1;
  return processes_.try_emplace({std::string(record.run_id), std::string(record.phase)}, next)
      .first->second;
}

void PhaseTrace::add(const Record& record) {
  if (steps_.size() == most) {
    ++left_out_;
    return;
  }
  const std::int64_t end = std::max<std::int64_t>(record.unix_ns, 0);
  steps_.push_back({process_of(record), std::max<std::int64_t>(end - to_ns(record.duration_ms), 0),
                    end, record.step, record.conflicts, record.chromatic_number});
}

std::string PhaseTrace::to_chrome() const {
  std::vector<Step> steps = steps_;
  std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) {
    return std::tie(a.process, a.begin_ns, a.step) < std::tie(b.process, b.begin_ns, b.step);
  });
  std::int64_t origin = steps.empty() ? 0 : steps.front().begin_ns;
  for (const Step& s : steps) origin = std::min(origin, s.begin_ns);
  const auto since = [&](std::int64_t ns) { return static_cast<std::uint64_t>(ns - origin); };
  ChromeTrace trace;
  for (const auto& [name, process] : processes_) {
    trace.name_process(process, name.second + ", run " + name.first);
  }
  SpanTracks tracks;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& s = steps[i];
    if (i > 0 && steps[i - 1].process != s.process) tracks = SpanTracks();
    trace.span(s.process, tracks.place(since(s.begin_ns), since(s.end_ns)), "step",
               since(s.begin_ns), since(s.end_ns),
               "{\"step\":" + std::to_string(s.step) +
                   ",\"conflicts\":" + std::to_string(s.conflicts) +
                   ",\"colors\":" + std::to_string(s.chromatic_number) + "}");
    trace.counter(s.process, "conflicts", since(s.end_ns), s.conflicts);
    if (s.chromatic_number != 0) {
      trace.counter(s.process, "colors", since(s.end_ns), s.chromatic_number);
    }
  }
  std::string notes = "{\"left_out\":" + std::to_string(left_out_) + ",\"began\":";
  append_utc(notes, origin);
  return trace.whole(notes + "}");
}

}  // namespace aatgs::monitor
