// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "json_text.hpp"
#include "phase_tag.hpp"
#include "times.hpp"
#include "views.hpp"

namespace aatgs::monitor {
namespace {

using Row = std::vector<std::string>;

std::string count_or_dash(std::uint64_t value) {
  return value == PhaseSummary::none ? "-" : std::to_string(value);
}

/// Four digits or more, whatever the magnitude.
std::string milliseconds(double ms) {
  return fixed(ms, ms < 1 ? 4 : ms < 100 ? 2 : 1);
}

Row text_row(const PhaseSummary& phase) {
  const bool timed = phase.duration_ns.count() > 0;
  const auto ms = [&](double value) { return timed ? milliseconds(value) : "-"; };
  return {visible(phase.phase),
          std::to_string(phase.records),
          count_or_dash(phase.best_colors),
          count_or_dash(phase.least_colors),
          std::to_string(phase.last_colors),
          count_or_dash(phase.least_conflicts),
          std::to_string(phase.most_conflicts),
          std::to_string(phase.last_conflicts),
          ms(phase.percentile_ms(0.5)),
          ms(phase.percentile_ms(0.9)),
          ms(phase.percentile_ms(0.99)),
          ms(phase.max_ms())};
}

/// Characters, not bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
  }));
}

/// The first column to the left, the others to the right.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - width_of(row[i]), ' ');
      out += i == 0 ? row[i] + blanks : "  " + blanks + row[i];
    }
    out += "\n";
  }
  return out;
}

std::string times_of(const RunSummary& run, std::int64_t now) {
  std::string out;
  if (run.start_unix_ns) out = "began " + show_utc(*run.start_unix_ns) + ", ";
  if (run.end) {
    const auto& end = *run.end;
    const std::int64_t start = run.start_unix_ns.value_or(run.first_unix_ns);
    out += "ended after " + show_duration(end.unix_ns - start) + ": " +
           std::to_string(end.written) + " records written, " + std::to_string(end.dropped) +
           " dropped, " + std::to_string(end.lost) + " lost";
    if (!end.last_error.empty()) out += "; " + visible(end.last_error);
  } else {
    out += "has not ended";
    if (run.records > 0)
      out += ": the last record is " + show_duration(now - run.last_unix_ns) + " old";
  }
  return out;
}

std::string show_text(const RunSummary& run, std::int64_t now) {
  std::string out = visible(run.file) + ": run " + visible(run.run_id) +
                    (run.gpu.empty() ? "" : ", " + visible(run.gpu)) + "\n" + times_of(run, now) +
                    "\n";
  if (run.phases.empty()) return out + "no record\n";
  // Of colors, `best` is without conflicts.
  std::vector<Row> rows{{"PHASE", "RECORDS", "BEST COLORS", "LEAST", "LAST", "LEAST CONFLICTS",
                         "MOST", "LAST", "P50 MS", "P90", "P99", "MAX"}};
  for (const auto& phase : run.phases) rows.push_back(text_row(*phase));
  return out + table(rows);
}

/// Each value with its name; an empty value is null.
std::vector<std::pair<std::string, std::string>> fields_of(const RunSummary& run,
                                                           const PhaseSummary& phase) {
  const auto count = [](std::uint64_t value) {
    return value == PhaseSummary::none ? "" : std::to_string(value);
  };
  const bool timed = phase.duration_ns.count() > 0;
  const auto ms = [&](double value) { return timed ? fixed(value, 6) : ""; };
  return {{"run_id", run.run_id},
          {"phase", phase.phase},
          {"records", count(phase.records)},
          {"best_colors", count(phase.best_colors)},
          {"least_colors", count(phase.least_colors)},
          {"last_colors", count(phase.last_colors)},
          {"least_conflicts", count(phase.least_conflicts)},
          {"most_conflicts", count(phase.most_conflicts)},
          {"last_conflicts", count(phase.last_conflicts)},
          {"p50_ms", ms(phase.percentile_ms(0.5))},
          {"p90_ms", ms(phase.percentile_ms(0.9))},
          {"p99_ms", ms(phase.percentile_ms(0.99))},
          {"max_ms", ms(phase.max_ms())},
          {"on_gpu", count(phase.on_gpu)},
          {"on_cpu", count(phase.on_cpu)},
          {"run_ended", run.end ? "true" : "false"}};
}

std::string show_json_line(const RunSummary& run, const PhaseSummary& phase) {
  std::string out;
  for (const auto& [name, value] : fields_of(run, phase)) {
    append_string(out += out.empty() ? '{' : ',', name);
    out += ':';
    if (name == "run_id" || name == "phase") {
      append_string(out, value);
    } else {
      out += value.empty() ? "null" : value;
    }
  }
  return out + "}\n";
}

std::string csv_line(const Row& fields) {
  std::string line;
  for (const std::string& field : fields) line += csv_field(field) + ",";
  line.back() = '\n';
  return line;
}

std::string show_csv(const Summary& summary) {
  Row names;
  for (const auto& [name, value] : fields_of({}, {})) names.push_back(name);
  std::string out = csv_line(names);
  for (const auto& run : summary.runs()) {
    for (const auto& phase : run->phases) {
      Row values;
      for (const auto& [name, value] : fields_of(*run, *phase)) values.push_back(value);
      out += csv_line(values);
    }
  }
  return out;
}

}  // namespace

std::string show_summary(const Summary& summary, Format format, std::int64_t now) {
  if (format == Format::csv) return show_csv(summary);
  std::string out;
  for (const auto& run : summary.runs()) {
    if (format == Format::text) {
      out += (out.empty() ? "" : "\n") + show_text(*run, now);
    } else {
      for (const auto& phase : run->phases) out += show_json_line(*run, *phase);
    }
  }
  return out;
}

}  // namespace aatgs::monitor
