// SPDX-License-Identifier: Apache-2.0
#include "feed_json.hpp"

#include <algorithm>
#include <cstdint>

#include "json_text.hpp"

namespace aatgs::monitor {
namespace {

std::string run_json(const RunSummary& run) {
  std::string out = "{\"run_id\":";
  append_string(out, run.run_id);
  append_string(out += ",\"file\":", run.file);
  append_string(out += ",\"gpu\":", run.gpu);
  append_string(out += ",\"library_version\":", run.library_version);
  out += ",\"start\":";
  run.start_unix_ns ? append_utc(out, *run.start_unix_ns) : static_cast<void>(out += "null");
  append_number(out += ",\"records\":", run.records);
  out += ",\"last\":";
  run.records > 0 ? append_utc(out, run.last_unix_ns) : static_cast<void>(out += "null");
  out += ",\"end\":";
  if (!run.end) return out + "null}";
  append_utc(out += "{\"time\":", run.end->unix_ns);
  append_number(out += ",\"written\":", run.end->written);
  append_number(out += ",\"dropped\":", run.end->dropped);
  append_number(out += ",\"lost\":", run.end->lost);
  append_string(out += ",\"last_error\":", run.end->last_error);
  return out + "}}";
}

double ms(std::int64_t ns) {
  return static_cast<double>(ns) * 1e-6;
}

void append_span(std::string& out, const std::optional<Span>& span) {
  if (!span) {
    out += ",null,null";
    return;
  }
  append_number(out += ',', span->least);
  append_number(out += ',', span->most);
}

}  // namespace

std::string summary_json(const Summary& summary, const std::string& phases, std::size_t most) {
  const auto& runs = summary.runs();
  std::string out;
  for (std::size_t i = runs.size() - std::min(runs.size(), most); i < runs.size(); ++i) {
    out += (out.empty() ? "" : ",") + run_json(*runs[i]);
  }
  const auto lines = static_cast<std::size_t>(std::count(phases.begin(), phases.end(), '\n'));
  const std::size_t left_out = lines - std::min(lines, most);
  std::size_t from = 0;
  for (std::size_t i = 0; i < left_out; ++i) from = phases.find('\n', from) + 1;
  std::string rows = phases.substr(from);
  if (!rows.empty()) rows.pop_back();
  std::replace(rows.begin(), rows.end(), '\n', ',');
  return "{\"runs\":[" + out + "],\"phases\":[" + rows +
         "],\"left_out\":" + std::to_string(left_out) + "}";
}

std::string series_json(const TimeSeries& series, const std::string& run_id) {
  std::string out = "{\"run_id\":";
  append_string(out, run_id);
  append_number(out += ",\"start_ms\":", ms(series.start_unix_ns()));
  append_number(out += ",\"last_ms\":", ms(series.last_unix_ns()));
  append_number(out += ",\"bin_ms\":", ms(series.bin_ns()));
  append_number(out += ",\"records\":", series.records());
  out += ",\"best\":";
  if (const auto& best = series.best()) {
    append_number(out += "{\"colors\":", best->colors);
    append_number(out += ",\"ms\":", ms(best->unix_ns));
    out += '}';
  } else {
    out += "null";
  }
  std::string bins;
  for (std::size_t i = 0; i < series.bins().size(); ++i) {
    const TimeSeries::Bin& bin = series.bins()[i];
    if (!bin.conflicts) continue;
    bins += (bins.empty() ? "[" : ",[") + std::to_string(i);
    append_span(bins, bin.conflicts);
    append_span(bins, bin.colors);
    bins += ']';
  }
  return out + ",\"bins\":[" + bins + "]}";
}

}  // namespace aatgs::monitor
