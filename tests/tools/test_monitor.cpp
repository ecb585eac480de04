// SPDX-License-Identifier: Apache-2.0
// The lines that the monitor reads, its filters, summaries and views.
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cmath>
#include <random>

#include "filter.hpp"
#include "line_parser.hpp"
#include "monitor_test_support.hpp"
#include "plot.hpp"
#include "times.hpp"
#include "views.hpp"

namespace aatgs::monitor {
namespace {

std::string not_parsed(const std::string& text) {
  LineParser parser;
  try {
    static_cast<void>(parser.parse(text));
  } catch (const LineError& error) {
    return error.what();
  }
  return "parsed";
}

TEST_CASE("monitor: a malformed line is taken for a record") {
  std::string good = metric_line("a", 0);
  good.pop_back();
  CHECK(not_parsed(good) == "parsed");
  CHECK(not_parsed("") == "is not JSON: ''");
  CHECK(not_parsed("[]") == "is not a JSON object");
  CHECK(not_parsed(good + "}").find("is not JSON") == 0);
  CHECK(not_parsed(R"({"type":7})").find("has no \"type\"") == 0);
  CHECK(not_parsed(R"({"type":"of a later version"})") == "parsed");
  for (const char* key :
       {"sequence", "timestamp", "phase", "step", "chromatic_number", "conflicts"}) {
    std::string other = good;
    other.replace(other.find(key), 1, "X");
    CHECK(not_parsed(other).find("has no \"" + std::string(key) + "\"") == 0);
  }
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string other = good;
    return not_parsed(other.replace(other.find(from), from.size(), to));
  };
  CHECK(with("\"conflicts\":2", "\"conflicts\":2.5").find("\"conflicts\" is not a whole") == 0);
  CHECK(with("\"conflicts\":2", "\"conflicts\":-2").find("\"conflicts\" is not a whole") == 0);
  CHECK(with("\"whcr\"", "7") == "\"phase\" is not a text");
  CHECK(with("12:00:01Z", "25:00:01Z").find("\"timestamp\" is not a time") == 0);
  CHECK(with("\"conflicts\":2", "\"conflicts\":2,\"duration_ms\":\"1\"")
            .find("\"duration_ms\" is neither") == 0);
  CHECK(with("\"conflicts\":2", "\"conflicts\":2,\"execution\":{\"mode\":\"tpu\"}")
            .find("\"mode\" is none of") == 0);
  std::string manifest = manifest_line("a");
  manifest.pop_back();
  CHECK(not_parsed(manifest) == "parsed");
  manifest.replace(manifest.find("\"format_version\":1"), 18, "\"format_version\":2");
  CHECK(not_parsed(manifest).find("\"format_version\" is not 1") == 0);
}

Record sample() {
  Record record;
  record.run_id = "night-7";
  record.sequence = 12;
  record.timestamp = "2026-01-31T12:00:00.500000000Z";
  record.unix_ns = *parse_utc(record.timestamp);
  record.phase = "thermodynamic";
  record.step = 5;
  record.chromatic_number = 112;
  record.conflicts = 3;
  record.duration_ms = 123.45;
  record.mode = PhaseExecution::Mode::gpu_ticket;
  record.number = 42;
  return record;
}

TEST_CASE("monitor: --where holds where it should not, or the other way round") {
  LineParser parser;
  const std::string text =
      metric_line("a", 12,
                  R"(,"duration_ms":1.5,"execution":{"mode":"gpu","ticket":42},"parameters":)"
                  R"({"mu":0.25,"kind":"tabu","deep":{"on":true},"list":[1]},"notes":"warm")");
  const Record record = parser.parse(text).record;
  for (const char* holds : {"conflicts>0",
                            "conflicts>=2",
                            "conflicts==2",
                            "conflicts = 2",
                            "conflicts<=2",
                            "conflicts<2.5",
                            "conflicts!=3",
                            "colors==9",
                            "chromatic_number<10",
                            "duration_ms==1.5e0",
                            "phase==whcr",
                            "phase!=memetic",
                            "phase~hc",
                            "phase>whca",
                            "mode==gpu",
                            "ticket==42",
                            "parameters.mu<0.5",
                            "parameters.kind==tabu",
                            "parameters.kind~ab",
                            "parameters.deep.on==true",
                            "parameters.kind!=7",
                            "parameters.mu!=tabu",
                            "notes==warm",
                            "name=='warm'",
                            "timestamp>=2020-01-31",
                            "timestamp<\"2020-02-01\"",
                            "conflicts>5||conflicts>1",
                            "conflicts>5 && step==0 || step==1",
                            "step==1 || step==2 && conflicts>5",
                            " conflicts>0&&phase==\"whcr\" "}) {
    CAPTURE(holds);
    CHECK(Where::parse(holds).holds(record));
  }
  for (const char* fails :
       {"conflicts>2", "conflicts<2", "phase==whc", "phase!=whcr", "stream==42", "stream!=1",
        "reason!=x", "parameters.none!=1", "parameters.list==1", "parameters==tabu",
        "parameters.mu==0.250001", "parameters.kind.deeper==1", "parameters.kind>7",
        "notes.name!=x", "conflicts>5 || step==2", "conflicts>1 && step==2",
        "parameters.mu=='0.25'"}) {
    CAPTURE(fails);
    CHECK_FALSE(Where::parse(fails).holds(record));
  }
  CHECK(Where().holds(record));
}

TEST_CASE("monitor: --where that means nothing is taken") {
  const auto refused = [](const std::string& text) -> std::string {
    try {
      static_cast<void>(Where::parse(text));
    } catch (const OptionError& error) {
      return error.what();
    }
    return "taken";
  };
  for (const char* wrong : {"",
                            " ",
                            "conflicts",
                            "conflicts>",
                            "conflicts>0 &&",
                            "|| conflicts>0",
                            "conflict>0",
                            "conflicts>many",
                            "conflicts~1",
                            "conflicts>0 conflicts>1",
                            "conflicts>0 & step>1",
                            "conflicts>'1'",
                            "phase=='whcr",
                            "phase==\"whcr'",
                            "(conflicts>0)",
                            "conflicts>0)",
                            "1>0",
                            "phase.x==1",
                            "conflicts=>1",
                            "step>1e999",
                            "step>nan",
                            "ticket"}) {
    CAPTURE(wrong);
    CHECK(refused(wrong).find("--where '") == 0);
  }
  CHECK(refused("step>1 & x").find("at '& x' && or || is wanted") != std::string::npos);
}

TEST_CASE("monitor: a time or a duration is read wrongly") {
  constexpr std::int64_t noon = 1769860800'000000000;  // 2026-01-31T12:00:00Z
  CHECK(parse_utc("2026-01-31T12:00:00Z") == noon);
  CHECK(parse_utc("2026-01-31 12:00") == noon);
  CHECK(parse_utc("2026-01-31T12:00:00.123456789Z") == noon + 123456789);
  CHECK(parse_utc("2026-01-31T12:00:00.5") == noon + 500'000'000);
  CHECK(parse_utc("2026-01-31") == noon - std::int64_t{12} * 3600 * 1'000'000'000);
  CHECK(parse_utc("2024-02-29") == 1709164800'000000000);
  for (const char* wrong :
       {"", "2026", "2026-1-31", "2026-02-30", "2026-13-01", "2026-01-31T", "2026-01-31T24:00",
        "2026-01-31T12:60", "2026-01-31T12:00:61", "2026-01-31T12:00:00.", "2026-01-31T12:00:00ZZ",
        "1969-12-31", "2262-01-01", "-026-01-31", "2026-01-31T12:00+01:00"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_utc(wrong));
  }
  CHECK(parse_duration("10m") == 600'000'000'000);
  CHECK(parse_duration("1h30m") == 5400'000'000'000);
  CHECK(parse_duration("0.5s") == 500'000'000);
  CHECK(parse_duration("250ms") == 250'000'000);
  CHECK(parse_duration("2d") == 172800'000'000'000);
  for (const char* wrong : {"", "m", "10", "10x", "-1m", "1m ", "1e3s", "nans", "infs", "1.2.3s",
                            "999999999999d", "1m2"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_duration(wrong));
  }
  CHECK(parse_since("10m", noon) == noon - 600'000'000'000);
  CHECK_THROWS_AS(static_cast<void>(parse_since("yesterday", noon)), OptionError);
}

TEST_CASE("monitor: a filter lets through what it should not") {
  const Record record = sample();
  Filter filter;
  CHECK(filter.passes(record));
  filter.phases = {"whcr"};
  CHECK_FALSE(filter.passes(record));
  filter.phases.push_back("thermodynamic");
  CHECK(filter.passes(record));
  filter.since_unix_ns = record.unix_ns;
  CHECK(filter.passes(record));
  filter.since_unix_ns = record.unix_ns + 1;
  CHECK_FALSE(filter.passes(record));
  filter.since_unix_ns = 0;
  filter.where = Where::parse("conflicts==0");
  CHECK_FALSE(filter.passes(record));
}

TEST_CASE("monitor: a progress line is not as documented, or takes orders for the terminal") {
  LineParser parser;
  const std::string text = metric_line("a", 0, R"(,"notes":{"name":"temp_5"})");
  Record record = sample();
  record.notes = parser.parse(text).record.notes;
  CHECK(progress_line(record, false) ==
        "[THERMO][GPU][ticket=42] temp_5 | colors=112 conflicts=3 | 123.45 ms");
  CHECK(progress_line(record, true).find('\x1b') != std::string::npos);
  record.notes = nullptr;
  record.mode = PhaseExecution::Mode::cpu_fallback;
  record.reason = "no\x1b[2J GPU";
  record.phase = "gr\xC3\xBCn\xC2\x9B";
  record.duration_ms = RunMetric::unknown;
  CHECK(progress_line(record, false) ==
        "[GR\xC3\xBCN?][CPU][no?[2J GPU] step 5 | colors=112 conflicts=3 | - ms");
}

TEST_CASE("monitor: a CSV field breaks its row") {
  Record record = sample();
  record.reason = "a,\"b\"\nc";
  const std::string row = csv_row(record);
  CHECK(row.find(",\"a,\"\"b\"\"\nc\",") != std::string::npos);
  CHECK(csv_field("plain") == "plain");
  const std::string header = csv_header();
  record.reason = "plain";
  const std::string other = csv_row(record);
  CHECK(std::count(header.begin(), header.end(), ',') ==
        std::count(other.begin(), other.end(), ','));
}

void add(Summary& summary, const Record& record) {
  Line line;
  line.type = Line::Type::metric;
  line.record = record;
  summary.add(line);
}

TEST_CASE("monitor: a summary differs from its records") {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> durations(1, 2);
  Summary summary;
  std::vector<double> all;
  std::uint64_t best = 1000, least = 1000;
  Record record = sample();
  for (int i = 0; i < 20'000; ++i) {
    record.phase = i % 3 == 0 ? "whcr" : "memetic";
    record.conflicts = random() % 4;
    record.chromatic_number = random() % 100 == 0 ? 0 : 50 + random() % 1000;
    record.duration_ms = i % 30 == 0 ? RunMetric::unknown : durations(random);
    add(summary, record);
    if (i % 3 != 0) continue;
    if (!std::isnan(record.duration_ms)) all.push_back(record.duration_ms);
    if (record.chromatic_number == 0) continue;
    least = std::min(least, record.chromatic_number);
    if (record.conflicts == 0) best = std::min(best, record.chromatic_number);
  }
  REQUIRE(summary.runs().size() == 1);
  REQUIRE(summary.runs()[0]->phases.size() == 2);
  const PhaseSummary& whcr = *summary.runs()[0]->phases[0];
  CHECK(whcr.phase == "whcr");
  CHECK(whcr.records == 6667);
  CHECK(whcr.best_colors == best);
  CHECK(whcr.least_colors == least);
  CHECK(whcr.least_conflicts == 0);
  CHECK(whcr.most_conflicts == 3);
  CHECK(whcr.duration_ns.count() == all.size());
  std::sort(all.begin(), all.end());
  for (const double share : {0.5, 0.9, 0.99}) {
    const double exact = all[static_cast<std::size_t>(share * static_cast<double>(all.size()))];
    CHECK(whcr.percentile_ms(share) >= exact * 0.999999);
    CHECK(whcr.percentile_ms(share) <= exact * 1.032);
  }
  CHECK(whcr.max_ms() == doctest::Approx(all.back()));
}

TEST_CASE("monitor: no conflict-free record passes for one") {
  Summary summary;
  add(summary, sample());
  CHECK(summary.runs()[0]->phases[0]->best_colors == PhaseSummary::none);
  CHECK(show_summary(summary, Format::jsonl, 0).find("\"best_colors\":null,\"least_colors\":112") !=
        std::string::npos);
}

TEST_CASE("monitor: many names of phases or runs take all memory") {
  Summary summary;
  Record record = sample();
  for (int i = 0; i < 10'000; ++i) {
    const std::string phase = "phase " + std::to_string(i);
    const std::string run = "run " + std::to_string(i % 5000);
    record.phase = phase;
    record.run_id = run;
    add(summary, record);
  }
  std::size_t phases = 0;
  std::uint64_t records = 0;
  for (const auto& run : summary.runs()) {
    phases += run->phases.size();
    for (const auto& phase : run->phases) records += phase->records;
  }
  CHECK(summary.runs().size() == Summary::most + 1);
  CHECK(phases <= 2 * Summary::most + 2);
  CHECK(records == 10'000);
}

TEST_CASE("monitor: Prometheus' format breaks at a name") {
  Summary summary;
  Record record = sample();
  record.phase = "a\"b\\c\nd";
  add(summary, record);
  const std::string text = prometheus_text(summary);
  CHECK(text.find("phase=\"a\\\"b\\\\c\\nd\"} 1\n") != std::string::npos);
  CHECK(text.find("aatgs_run_step_duration_seconds_sum{run_id=\"night-7\"") != std::string::npos);
  CHECK(text.find("aatgs_run_best_colors{") == std::string::npos);
}

TEST_CASE("monitor: a time series loses records, or grows without end") {
  TimeSeries series;
  Record record = sample();
  const std::int64_t start = record.unix_ns;
  const auto add_at = [&](std::int64_t since, std::uint64_t conflicts, std::uint64_t colors) {
    record.unix_ns = start + since;
    record.conflicts = conflicts;
    record.chromatic_number = colors;
    series.add(record);
  };
  // Each has its own number of colors, so the spans tell how many records there are.
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    add_at(static_cast<std::int64_t>(i) * 1'000'000, 5, 20'000 - i);
  }
  const auto records_by_colors = [&] {
    std::uint64_t count = 0;
    for (const auto& bin : series.bins()) {
      if (bin.colors) count += bin.colors->most - bin.colors->least + 1;
    }
    return count;
  };
  CHECK(series.bins().size() <= TimeSeries::most_bins);
  CHECK(series.bins().size() > TimeSeries::most_bins / 2);
  CHECK(records_by_colors() == 10'000);
  add_at(0, 9, 0);
  const std::int64_t width = series.bin_ns();
  add_at(-5'000'000'000, 7, 0);  // out of order
  CHECK(series.bin_ns() == width);
  CHECK(series.bins()[0].conflicts->most == 9);
  CHECK(records_by_colors() == 10'000);
  add_at(5'000'000'000, 0, 15'000);
  add_at(6'000'000'000, 0, 15'000);
  REQUIRE(series.best());
  CHECK(series.best()->unix_ns == start + 5'000'000'000);
  add_at(std::int64_t{1} << 62, 1, 0);
  CHECK(series.bins()[0].colors->least == 10'001);
  CHECK(series.bins()[0].colors->most == 20'000);
  CHECK(series.bins().size() <= TimeSeries::most_bins);
  CHECK(series.records() == 10'005);
  const std::string svg = plot_svg(series, "<&\"\x1b");
  CHECK(svg.find("&lt;&amp;&quot;?") != std::string::npos);
  CHECK(svg.find("nan") == std::string::npos);
}

}  // namespace
}  // namespace aatgs::monitor
