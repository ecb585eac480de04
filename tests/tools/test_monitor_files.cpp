// SPDX-License-Identifier: Apache-2.0
// The monitor's reader of files that grow, rotate, and are truncated and replaced, and of those of
// the real TelemetryHandle.
#include <aatgs/host/errors.hpp>
#include <aatgs/host/run_telemetry.hpp>
#include <algorithm>
#include <random>

#include "monitor_test_support.hpp"
#include "run_source.hpp"
#include "views.hpp"

namespace aatgs::monitor {
namespace {

using namespace std::chrono_literals;

/// What a source hands over.
struct Heard {
  std::vector<std::uint64_t> sequences;
  std::vector<std::string> run_ids;
  std::vector<std::string> remarks;
  int ends = 0;

  Take take() {
    return [this](const Line& line) {
      if (line.type == Line::Type::summary) ++ends;
      if (line.type != Line::Type::metric) return;
      sequences.push_back(line.record.sequence);
      run_ids.emplace_back(line.record.run_id);
    };
  }
  Say say() {
    return [this](const std::string& remark) { remarks.push_back(remark); };
  }
};

Heard read_all(const fs::path& path) {
  Heard heard;
  RunSource(path, heard.say()).look(heard.take(), true);
  return heard;
}

std::string refusal(const fs::path& path) {
  try {
    read_all(path);
  } catch (const InputError& error) {
    return error.what();
  }
  return "not refused";
}

using Sequences = std::vector<std::uint64_t>;

TEST_CASE("monitor: a part of a rotated run is lost, doubled or out of order") {
  const Directory directory;
  TelemetryOptions options;
  options.file = directory / "run.jsonl";
  options.rotate_bytes = 16 * 1024;
  TelemetryHandle telemetry(options);
  RunMetric metric;
  metric.phase = phase::whcr;
  metric.notes = R"({"name":"temp_5"})";
  for (metric.step = 0; metric.step < 500; ++metric.step) REQUIRE(telemetry.record(metric));
  const TelemetryStatus status = telemetry.finalize(60s);
  REQUIRE(status.parts > 5);
  Sequences all(500);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  for (const fs::path& path : {options.file, directory.path()}) {
    const Heard heard = read_all(path);
    CHECK(heard.sequences == all);
    CHECK(heard.ends == 1);
    CHECK(heard.remarks.empty());
  }
  // The oldest part was removed.
  fs::remove(options.file);
  const Heard rest = read_all(directory.path());
  CHECK(rest.sequences.size() < 500);
  CHECK(rest.sequences.back() == 499);
  CHECK(rest.sequences.size() == 500 - rest.sequences.front());
  CHECK(read_all(directory / "run.1.jsonl").sequences == rest.sequences);
}

TEST_CASE("monitor: another run's file in the way is taken for the next part") {
  const Directory directory;
  put(directory / "run.jsonl", manifest_line("a") + metric_line("a", 0));
  put(directory / "run.1.jsonl", manifest_line("b", 1) + metric_line("b", 7));
  CHECK(read_all(directory / "run.jsonl").sequences == Sequences{0});
  put(directory / "run.1.jsonl", "no run at all\n");
  CHECK(read_all(directory / "run.jsonl").sequences == Sequences{0});
  CHECK(read_all(directory.path()).sequences == Sequences{0});
}

TEST_CASE("monitor: a line is lost or torn at the end of a chunk") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  std::mt19937 random(7);
  std::string text;
  std::vector<std::string> lines;
  while (text.size() < 5 * PartFile::chunk_bytes) {
    const std::size_t length = lines.size() % 100 == 99 ? PartFile::chunk_bytes : random() % 2000;
    lines.push_back(std::string(length, static_cast<char>('a' + lines.size() % 26)));
    text += lines.back() + "\n";
  }
  put(file, text + "rest");
  PartFile part(file);
  for (const std::string& line : lines) {
    const auto found = part.next();
    REQUIRE(found);
    REQUIRE(*found == line);
  }
  CHECK_FALSE(part.next());
  CHECK(part.rest() == "rest");
  CHECK(part.number() == lines.size());
  // Also where the file was let go in the middle of a line.
  part.close();
  append(file, " of it\nnext\n");
  CHECK(part.change() == PartFile::Change::none);
  CHECK(part.next() == "rest of it");
  CHECK(part.next() == "next");
}

TEST_CASE("monitor: an endless line takes all memory") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  put(file, manifest_line("a"));
  fs::resize_file(file, 40 * PartFile::most_line_bytes);  // a hole
  CHECK(refusal(file) ==
        file.string() + ":2: is longer than 8388608 bytes, as no line of a run is");
}

TEST_CASE("monitor: a line that grows is handed over in pieces, twice or never") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  put(file, "");
  Heard heard;
  RunSource source(file, heard.say());
  std::uint64_t sequence = 0;
  for (const std::string& text : {manifest_line("a"), metric_line("a", 0), metric_line("a", 1)}) {
    for (std::size_t i = 0; i < text.size(); i += 7) {
      append(file, text.substr(i, 7));
      source.look(heard.take(), false);
    }
    CHECK(heard.sequences.size() == sequence);
    ++sequence;
  }
  CHECK(heard.sequences.size() == 2);
  CHECK_FALSE(source.ended());
  append(file, summary_line("a", 2));
  source.look(heard.take(), false);
  CHECK(source.ended());
  CHECK(heard.remarks.size() == 1);  // that nothing was there yet
}

TEST_CASE("monitor: a truncated, rewritten or replaced file is read on at the old place") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  put(file, manifest_line("a") + metric_line("a", 0) + metric_line("a", 1));
  Heard heard;
  RunSource source(file, heard.say());
  source.look(heard.take(), false);
  SUBCASE("it is shorter") {
    put(file, metric_line("a", 2));
    source.look(heard.take(), false);
    CHECK(heard.sequences == Sequences{0, 1, 2});
  }
  SUBCASE("it is longer than it was, and of another run") {
    put(file, manifest_line("b") + metric_line("b", 0) + metric_line("b", 1) + metric_line("b", 2));
    source.look(heard.take(), false);
    CHECK(heard.sequences == Sequences{0, 1, 0, 1, 2});
    CHECK(heard.run_ids.back() == "b");
  }
  SUBCASE("it was renamed, grew, and another has its name") {
    append(file, metric_line("a", 2));
    fs::rename(file, directory / "old");
    put(file, manifest_line("a") + metric_line("a", 3));
    source.look(heard.take(), false);
    CHECK(heard.sequences == Sequences{0, 1, 2, 3});
  }
  SUBCASE("it is another file of the same length") {
    fs::rename(file, directory / "old");
    put(file, manifest_line("b") + metric_line("b", 0) + metric_line("b", 1));
    source.look(heard.take(), false);
    CHECK(heard.sequences == Sequences{0, 1, 0, 1});
  }
  REQUIRE(heard.remarks.size() == 1);
  CHECK(heard.remarks[0].find("run.jsonl: was ") != std::string::npos);
  append(file, metric_line("z", 9));
  source.look(heard.take(), false);
  CHECK(heard.sequences.back() == 9);
}

TEST_CASE("monitor: a new run that replaces one with parts is missed") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  put(file, manifest_line("a") + metric_line("a", 0));
  put(directory / "run.1.jsonl", manifest_line("a", 1) + metric_line("a", 1));
  bool in_directory = false;
  SUBCASE("a file is followed") {}
  SUBCASE("a directory is followed") {
    in_directory = true;
  }
  Heard heard;
  RunSource source(in_directory ? directory.path() : file, heard.say());
  source.look(heard.take(), false);
  REQUIRE(heard.sequences == Sequences{0, 1});
  fs::remove(directory / "run.1.jsonl");
  put(file, manifest_line("b") + metric_line("b", 0) + summary_line("b", 1));
  source.look(heard.take(), false);
  CHECK(heard.sequences == Sequences{0, 1, 0});
  CHECK(heard.ends == 1);
}

TEST_CASE("monitor: a run that begins later in a directory, or again after its end, is missed") {
  const Directory directory;
  Heard heard;
  RunSource source(directory.path(), heard.say());
  source.look(heard.take(), false);
  CHECK(heard.remarks.size() == 1);
  put(directory / "a.jsonl", manifest_line("a") + metric_line("a", 0) + summary_line("a", 1));
  source.look(heard.take(), false);
  source.look(heard.take(), false);
  CHECK(heard.sequences == Sequences{0});
  put(directory / "b.jsonl", manifest_line("b"));
  source.look(heard.take(), false);
  append(directory / "b.jsonl", metric_line("b", 1));
  put(directory / "a.jsonl", manifest_line("c") + metric_line("c", 2) + summary_line("c", 3));
  source.look(heard.take(), false);
  std::sort(heard.sequences.begin(), heard.sequences.end());
  CHECK(heard.sequences == Sequences{0, 1, 2});
}

TEST_CASE("monitor: a torn last line is an error, or a malformed one passes for torn") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  const std::string good = manifest_line("a") + metric_line("a", 0);
  const std::string next = metric_line("a", 1);
  put(file, good + next.substr(0, next.size() - 10));
  const Heard torn = read_all(file);
  CHECK(torn.sequences == Sequences{0});
  REQUIRE(torn.remarks.size() == 1);
  CHECK(torn.remarks[0] == file.string() +
                               ":3: the last line is torn and was passed over (the run has no "
                               "summary: it is at work, or was cut short)");
  put(file, good + next.substr(0, next.size() - 1));  // only its end is missing
  CHECK(read_all(file).sequences == Sequences{0, 1});
  put(file, good + R"({"type":"metric","conflicts":-1})");
  CHECK(refusal(file).find(":3: \"conflicts\" is not a whole number") != std::string::npos);
  put(file, good + summary_line("a", 1) + "{\"type\"");
  CHECK(refusal(file).find(":4: is not JSON: '{\"type\"'") != std::string::npos);
  put(file, good + "{\"type\"\n" + next);
  CHECK(refusal(file).find("run.jsonl:3: is not JSON") != std::string::npos);
  put(file, "garbage");
  CHECK(refusal(file).find(":1: has not one whole line; is not JSON: 'garbage'") !=
        std::string::npos);
}

TEST_CASE("monitor: what is no run gets no clear line") {
  const Directory directory;
  CHECK(refusal(directory.path()).find("has no run") != std::string::npos);
  put(directory / "empty.jsonl", "");
  CHECK(refusal(directory.path()).find("has no run") != std::string::npos);
  CHECK(refusal(directory / "empty.jsonl").find("empty.jsonl: is empty") != std::string::npos);
  CHECK(refusal(directory / "none").find("none: No such file") != std::string::npos);
  put(directory / "other.jsonl", "{\"a\":1}\n");
  CHECK(refusal(directory / "other.jsonl").find(":1: has no \"type\"") != std::string::npos);
}

TEST_CASE("monitor: a stalled run is not told from one at work or at its end") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  put(file, manifest_line("a") + metric_line("a", 41));
  Heard heard;
  RunSource source(file, heard.say());
  source.look(heard.take(), false);
  const auto message = source.stalled(1h);
  REQUIRE(message);  // by the record's own time
  CHECK(message->find("the last was whcr, step 1, sequence 41") != std::string::npos);
  append(file, metric_line("a", 42));
  source.look(heard.take(), false);
  CHECK_FALSE(source.stalled(1h));  // it was seen to be written now
  CHECK(source.stalled(0ns));
  append(file, summary_line("a", 43));
  source.look(heard.take(), false);
  CHECK_FALSE(source.stalled(0ns));
}

TEST_CASE("monitor: a line that the library writes is refused") {
  const Directory directory;
  TelemetryOptions options;
  options.file = directory / "run.jsonl";
  options.options_json = R"({"seed":123456789012345678901234567890})";
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  const std::vector<std::string> texts{
      every_byte.substr(0, 100),
      every_byte.substr(100),
      std::string(300, 'x'),
      "\"\\",
      R"({"seed":18446744073709551616,"least":-9223372036854775809,"most":18446744073709551615})",
      R"({"a":"9\"9999999999999999999999","b":[-0,1e-300,99999999999999999999.5e1]})",
      std::string(60, '[') + std::string(60, ']')};
  {
    TelemetryHandle telemetry(options);
    for (const std::string& text : texts) {
      RunMetric metric;
      metric.phase = text;
      metric.step = std::numeric_limits<std::uint64_t>::max();
      metric.notes = text;
      metric.execution = PhaseExecution::cpu_fallback(text);
      telemetry.record(metric);
    }
  }
  std::size_t count = 0;
  RunSource(options.file, [](const auto&) { FAIL("a remark"); })
      .look(
          [&](const Line& line) {
            if (line.type != Line::Type::metric) return;
            CHECK(line.record.step == std::numeric_limits<std::uint64_t>::max());
            if (count == 4) {
              CHECK(std::get<double>(find(line.record.notes, "seed")) == 18446744073709551616.0);
              CHECK(std::get<double>(find(line.record.notes, "least")) == -9223372036854775809.0);
              CHECK(to_text(line.record.notes).find("\"most\":18446744073709551615") !=
                    std::string::npos);
            }
            if (count == 5) {
              CHECK(std::get<std::string_view>(find(line.record.notes, "a")) ==
                    "9\"9999999999999999999999");
            }
            const std::string shown = progress_line(line.record, false);
            for (const char c : shown) CHECK(static_cast<unsigned char>(c) >= 0x20);
            ++count;
          },
          true);
  CHECK(count == texts.size());
}

}  // namespace
}  // namespace aatgs::monitor
