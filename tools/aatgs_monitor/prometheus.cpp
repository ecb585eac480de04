// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <functional>

#include "json_text.hpp"
#include "views.hpp"

namespace aatgs::monitor {

std::string prometheus_label(std::string_view name, std::string_view value) {
  std::string out = std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out + "\"";
}

namespace {

std::string number(double value) {
  std::string text;
  append_number(text, value);
  return text;
}

std::string seconds(std::int64_t unix_ns) {
  return fixed(static_cast<double>(unix_ns) * 1e-9, 3);
}

/// Gets the labels' text, and appends samples.
using OfRun = std::function<void(const RunSummary&, const std::string& labels)>;
using OfPhase = std::function<void(const PhaseSummary&, const std::string& labels)>;

class Page {
 public:
  explicit Page(const Summary& summary) : summary_(summary) {}

  void family(const std::string& name, const char* type, const char* help) {
    name_ = "aatgs_run_" + name;
    out += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
  }
  void sample(const std::string& labels, const std::string& value, const char* suffix = "") {
    out += name_ + suffix + "{" + labels + "} " + value + "\n";
  }
  void runs(const OfRun& show) {
    for (const auto& run : summary_.runs()) show(*run, prometheus_label("run_id", run->run_id));
  }
  void phases(const OfPhase& show) {
    runs([&](const RunSummary& run, const std::string& labels) {
      for (const auto& phase : run.phases)
        show(*phase, labels + "," + prometheus_label("phase", phase->phase));
    });
  }

  std::string out;

 private:
  const Summary& summary_;
  std::string name_;
};

void show_runs(Page& page) {
  page.family("info", "gauge", "A run and what it ran on.");
  page.runs([&](const RunSummary& run, const std::string& labels) {
    page.sample(labels + "," + prometheus_label("gpu", run.gpu) + "," +
                    prometheus_label("library_version", run.library_version),
                "1");
  });
  page.family("ended", "gauge", "Whether the run has written its summary.");
  page.runs([&](const RunSummary& run, const std::string& labels) {
    page.sample(labels, run.end ? "1" : "0");
  });
  page.family("last_record_timestamp_seconds", "gauge", "When the last record was made.");
  page.runs([&](const RunSummary& run, const std::string& labels) {
    if (run.records > 0) page.sample(labels, seconds(run.last_unix_ns));
  });
  page.family("records_missing_total", "counter",
              "Records of a run that ended which are not in its file.");
  page.runs([&](const RunSummary& run, const std::string& labels) {
    if (run.end) page.sample(labels, std::to_string(run.end->dropped + run.end->lost));
  });
}

void show_phases(Page& page) {
  const auto gauge = [&](const char* name, const char* help, auto value) {
    page.family(name, "gauge", help);
    page.phases([&](const PhaseSummary& phase, const std::string& labels) {
      if (value(phase) != PhaseSummary::none) page.sample(labels, std::to_string(value(phase)));
    });
  };
  page.family("records_total", "counter", "Records.");
  page.phases([&](const PhaseSummary& phase, const std::string& labels) {
    page.sample(labels, std::to_string(phase.records));
  });
  gauge("conflicts", "Conflicts in the last record.",
        [](const PhaseSummary& phase) { return phase.last_conflicts; });
  gauge("least_conflicts", "Fewest conflicts in a record.",
        [](const PhaseSummary& phase) { return phase.least_conflicts; });
  gauge("colors", "Colors in the last record.",
        [](const PhaseSummary& phase) { return phase.last_colors; });
  gauge("best_colors", "Fewest colors in a record without conflicts.",
        [](const PhaseSummary& phase) { return phase.best_colors; });
}

void show_durations(Page& page) {
  page.family("step_duration_seconds", "summary",
              "Duration of a step; quantiles are at most 3.2 % too high.");
  page.phases([&](const PhaseSummary& phase, const std::string& labels) {
    const std::uint64_t count = phase.duration_ns.count();
    for (const auto& [name, share] :
         {std::pair{"0.5", 0.5}, std::pair{"0.9", 0.9}, std::pair{"0.99", 0.99}}) {
      if (count == 0) break;
      page.sample(labels + "," + prometheus_label("quantile", name),
                  number(phase.percentile_ms(share) * 1e-3));
    }
    page.sample(labels, number(phase.duration_ms * 1e-3), "_sum");
    page.sample(labels, std::to_string(count), "_count");
  });
}

}  // namespace

std::string prometheus_text(const Summary& summary) {
  Page page(summary);
  show_runs(page);
  show_phases(page);
  show_durations(page);
  return page.out;
}

}  // namespace aatgs::monitor
