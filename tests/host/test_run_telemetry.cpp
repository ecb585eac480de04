// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/run_telemetry.hpp>
#include <aatgs/host/version.hpp>
#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <type_traits>

#include "../temporary_directory.hpp"

namespace {
thread_local long allocations = 0;
}

// Inlined, g++ takes each half of a pair for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* data = std::malloc(bytes == 0 ? 1 : bytes)) return data;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* data) noexcept {
  std::free(data);
}
[[gnu::noinline]] void operator delete(void* data, std::size_t) noexcept {
  std::free(data);
}

namespace aatgs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

static_assert(std::is_trivially_copyable_v<RunMetric>);

using Directory = test::TemporaryDirectory;

TelemetryOptions to_file(const fs::path& file) {
  TelemetryOptions options;
  options.file = file;
  options.flush_interval = 1ms;
  return options;
}

RunMetric metric(std::uint64_t step) {
  RunMetric m;
  m.phase = phase::whcr;
  m.step = m.conflicts = m.chromatic_number = step;
  m.execution = PhaseExecution::gpu_ticket(step);
  return m;
}

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

/// Every line, each of which must be whole and a JSON object.
std::vector<json> lines_of(const fs::path& file) {
  const std::string text = text_of(file);
  CHECK((text.empty() || text.back() == '\n'));
  std::vector<json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    CAPTURE(line);
    REQUIRE(json::accept(line));
    lines.push_back(json::parse(line));
    REQUIRE(lines.back().is_object());
  }
  return lines;
}

std::vector<json> of_type(const std::vector<json>& lines, const std::string& type) {
  std::vector<json> found;
  for (const json& line : lines) {
    if (line.at("type") == type) found.push_back(line);
  }
  return found;
}

/// Sequence numbers rise; what is missing among them and before the summary.
std::uint64_t gaps(const std::vector<json>& metrics, const json& summary) {
  std::uint64_t next = 0;
  std::uint64_t missing = 0;
  for (const json& m : metrics) {
    const auto sequence = m.at("sequence").get<std::uint64_t>();
    REQUIRE(sequence >= next);
    missing += sequence - next;
    next = sequence + 1;
  }
  const auto end = summary.at("sequence").get<std::uint64_t>();
  REQUIRE(end >= next);
  return missing + end - next;
}

void check_sum(const TelemetryStatus& status) {
  CHECK(status.recorded == status.written + status.dropped + status.lost + status.pending);
}

/// Records from four threads at once, `count` each.
void record_from_four_threads(TelemetryHandle& telemetry, std::uint64_t count) {
  std::vector<std::thread> threads;
  for (const char* name : {"a", "b", "c", "d"}) {
    threads.emplace_back([&telemetry, name, count] {
      for (std::uint64_t i = 0; i < count; ++i) {
        RunMetric m = metric(i);
        m.phase = name;
        m.notes = i % 2 == 0 ? "{\"text\":\"" + std::string(i % 200, *name) + "\"}" : "";
        if (!telemetry.record(m)) std::this_thread::sleep_for(200us);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// A named pipe that nobody reads until told to.
struct Pipe {
  explicit Pipe(const fs::path& path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    REQUIRE(reader >= 0);
  }
  ~Pipe() { ::close(reader); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader = -1;
};

TEST_CASE("telemetry: threads tear or mix each other's lines, or a gap is not counted") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.queue_records = 256;
  TelemetryHandle telemetry(options);
  record_from_four_threads(telemetry, 1500);
  const TelemetryStatus status = telemetry.finalize(60s);
  CHECK(status.finalized);
  CHECK(status.recorded == 6000);
  CHECK(status.pending == 0);
  CHECK(status.lost == 0);
  check_sum(status);

  const auto lines = lines_of(options.file);
  const auto metrics = of_type(lines, "metric");
  CHECK(lines.front().at("type") == "manifest");
  CHECK(lines.back().at("type") == "summary");
  CHECK(metrics.size() == status.written);
  CHECK(metrics.size() + 2 == lines.size());
  CHECK(gaps(metrics, lines.back()) == status.dropped);
  CHECK(lines.back().at("dropped") == status.dropped);

  std::map<std::string, std::uint64_t> next;
  std::map<std::string, std::uint64_t> count;
  for (const json& m : metrics) {
    const auto name = m.at("phase").get<std::string>();
    const auto step = m.at("step").get<std::uint64_t>();
    REQUIRE(step >= next[name]);
    next[name] = step + 1;
    ++count[name];
    REQUIRE(m.at("conflicts") == step);
    REQUIRE(m.at("execution").at("ticket") == step);
    REQUIRE(m.at("notes").is_null() == (step % 2 == 1));
    if (step % 2 == 0) REQUIRE(m["notes"]["text"] == std::string(step % 200, name.front()));
  }
  CHECK(lines.back().at("phases") == json(count));
}

/// Slower than a writer writes, so the queue is full only once the pipe is.
void record_until_dropped(TelemetryHandle& telemetry) {
  while (telemetry.record(metric(0))) std::this_thread::sleep_for(10us);
}

TEST_CASE("telemetry: a disk that takes nothing stops the solver, the snapshot or the end") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "pipe");
  options.queue_records = 1024;
  auto pipe = std::make_unique<Pipe>(options.file);
  TelemetryHandle telemetry(options);
  record_until_dropped(telemetry);
  TelemetryStatus status = telemetry.status();
  const std::uint64_t before = status.recorded;
  for (std::uint64_t i = 0; i < 10'000; ++i) telemetry.record(metric(i));
  status = telemetry.status();
  CHECK(status.recorded == before + 10'000);
  CHECK(status.dropped > 0);
  CHECK(status.pending > 0);
  check_sum(status);

  const auto last = telemetry.snapshot();
  REQUIRE(last.size() == TelemetryHandle::history);
  CHECK(last.back().sequence >= last.front().sequence + 999);
  CHECK(last.back().sequence >= 1023);

  status = telemetry.finalize(1ms);
  CHECK_FALSE(status.finalized);
  CHECK(status.pending > 0);
  check_sum(status);

  pipe.reset();  // and now there is nobody to read, a signal by default
  status = telemetry.finalize(60s);
  CHECK_FALSE(status.finalized);
  CHECK(status.pending == 0);
  CHECK(status.lost > 0);
  CHECK(status.last_error.find("Broken pipe") != std::string::npos);
  check_sum(status);
}

TEST_CASE("telemetry: a handle cannot be left while the disk holds its thread") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "pipe");
  options.queue_records = 256;
  const Pipe pipe(options.file);
  auto telemetry = std::make_unique<TelemetryHandle>(options);
  record_until_dropped(*telemetry);
  telemetry->finalize(1ms);
  telemetry.reset();
}

TEST_CASE("telemetry: a full disk stops the solver, or its losses are not told") {
  TelemetryHandle telemetry(to_file("/dev/full"));
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(telemetry.record(metric(i)));
  const TelemetryStatus status = telemetry.finalize(60s);
  CHECK_FALSE(status.finalized);
  CHECK(status.lost == 100);
  CHECK(status.written == 0);
  CHECK(status.write_errors > 0);
  CHECK(status.last_error == "/dev/full: write failed: No space left on device");
  check_sum(status);
}

TEST_CASE("telemetry: a disk that fills up in a line and is freed leaves a torn line") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  rlimit usual{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
  TelemetryHandle telemetry(options);
  const auto set_limit = [&](rlim_t bytes) {
    const rlimit limit{bytes, usual.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  };
  const auto record_until = [&](auto done) {
    for (std::uint64_t i = 0; !done(telemetry.status()); ++i) {
      telemetry.record(metric(i));
      std::this_thread::sleep_for(100us);
    }
  };
  record_until([](const TelemetryStatus& s) { return s.written > 0; });
  set_limit(fs::file_size(options.file) + 10'001);
  record_until([](const TelemetryStatus& s) { return s.lost > 3; });
  set_limit(usual.rlim_cur);
  const std::uint64_t before = telemetry.status().written;
  record_until([&](const TelemetryStatus& s) { return s.written > before + 3; });
  const TelemetryStatus status = telemetry.finalize(60s);
  CHECK(status.finalized);
  CHECK(status.last_error.find("File too large") != std::string::npos);
  check_sum(status);

  const auto lines = lines_of(options.file);
  const auto metrics = of_type(lines, "metric");
  CHECK(metrics.size() == status.written);
  CHECK(gaps(metrics, lines.back()) == status.dropped + status.lost);
  CHECK(lines.back().at("lost") == status.lost);
}

TEST_CASE("child: records until it is killed" * doctest::skip()) {
  TelemetryHandle telemetry(to_file(std::getenv("AATGS_TEST_TELEMETRY_FILE")));
  for (std::uint64_t i = 0;; ++i) {
    telemetry.record(metric(i));
    if (i % 16 == 0) std::this_thread::sleep_for(10us);
  }
}

TEST_CASE("telemetry: a killed process leaves more than its last line torn") {
  const Directory directory;
  const fs::path file = directory / "run.jsonl";
  std::string setting = "AATGS_TEST_TELEMETRY_FILE=" + file.string();
  std::string name = "child";
  std::string filter = "-tc=child: records until it is killed";
  std::string no_skip = "--no-skip";
  const std::array<char*, 4> arguments{name.data(), filter.data(), no_skip.data(), nullptr};
  const std::array<char*, 2> environment{setting.data(), nullptr};
  pid_t child = 0;
  REQUIRE(::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(),
                        environment.data()) == 0);
  std::error_code none_yet;
  const auto is_short = [&] {
    const auto size = fs::file_size(file, none_yet);
    return none_yet || size < 300'000;
  };
  while (is_short() && ::waitpid(child, nullptr, WNOHANG) == 0) std::this_thread::sleep_for(1ms);
  ::kill(child, SIGKILL);
  int how = 0;
  REQUIRE(::waitpid(child, &how, 0) == child);
  CHECK(WIFSIGNALED(how));

  const std::string text = text_of(file);
  std::istringstream in(text.substr(0, text.rfind('\n') + 1));
  std::uint64_t count = 0;
  std::uint64_t next = 0;
  for (std::string line; std::getline(in, line); ++count) {
    CAPTURE(line);
    REQUIRE(json::accept(line));
    const json parsed = json::parse(line);
    REQUIRE((parsed.at("type") == "manifest") == (count == 0));
    if (count == 0) continue;
    REQUIRE(parsed.at("sequence").get<std::uint64_t>() >= next);
    next = parsed["sequence"].get<std::uint64_t>() + 1;
  }
  CHECK(count > 500);
}

TEST_CASE("telemetry: rotation loses or doubles a record, or a part has no manifest") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.rotate_bytes = 16 * 1024;
  TelemetryHandle telemetry(options);
  for (std::uint64_t i = 0; i < 1000; ++i) REQUIRE(telemetry.record(metric(i)));
  const TelemetryStatus status = telemetry.finalize(60s);
  CHECK(status.finalized);
  CHECK(status.parts > 10);
  std::uint64_t next = 0;
  for (std::uint64_t part = 0; part < status.parts; ++part) {
    CAPTURE(part);
    const std::string name = part == 0 ? "run.jsonl" : "run." + std::to_string(part) + ".jsonl";
    CHECK(fs::file_size(directory / name.c_str()) <= options.rotate_bytes);
    const auto lines = lines_of(directory / name.c_str());
    REQUIRE(lines.size() > 1);
    CHECK(lines.front().at("type") == "manifest");
    CHECK(lines.front().at("part") == part);
    for (const json& m : of_type(lines, "metric")) CHECK(m.at("sequence") == next++);
    CHECK(of_type(lines, "summary").size() == (part + 1 == status.parts ? 1 : 0));
  }
  CHECK(next == 1000);
  CHECK_FALSE(fs::exists(directory / ("run." + std::to_string(status.parts) + ".jsonl").c_str()));
}

TEST_CASE("telemetry: a rotation that has no place to go loses records") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.rotate_bytes = 16 * 1024;
  TelemetryHandle telemetry(options);
  std::ofstream(directory / "run.1.jsonl") << "someone else's";
  for (std::uint64_t i = 0; i < 200; ++i) REQUIRE(telemetry.record(metric(i)));
  const TelemetryStatus status = telemetry.finalize(60s);
  CHECK(status.written == 200);
  CHECK(status.write_errors > 0);
  CHECK(status.last_error.find("opening part run.1.jsonl failed: File exists") !=
        std::string::npos);
  CHECK(of_type(lines_of(options.file), "metric").size() == 200);
  CHECK(text_of(directory / "run.1.jsonl") == "someone else's");
}

TEST_CASE("telemetry: a text breaks the line: quotes, control characters, bytes not UTF-8") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  std::vector<std::string> texts{"\"",
                                 "\\",
                                 "a\nb",
                                 "\r\t\b\f\x01\x1f\x7f",
                                 "gr\xC3\xBCn",
                                 "\xE2\x82\xAC",
                                 "\xF0\x9F\x98\x80",
                                 "\xC0\xAF",
                                 "\xED\xA0\x80",
                                 "\xF5\x80\x80\x80",
                                 "\xE2\x82",
                                 "\xC3"};
  for (std::size_t at = 0; at < every_byte.size(); at += 29)
    texts.push_back(every_byte.substr(at, 29));
  {
    TelemetryHandle telemetry(options);
    for (const std::string& text : texts) {
      RunMetric m = metric(0);
      m.phase = text;
      m.execution = PhaseExecution::cpu_fallback(text);
      m.notes = text;
      telemetry.record(m);
    }
  }
  const auto metrics = of_type(lines_of(options.file), "metric");
  REQUIRE(metrics.size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    // nlohmann's own replacement of what is not UTF-8 is the reference.
    const auto replace = json::error_handler_t::replace;
    const json expected = json::parse(json(texts[i]).dump(-1, ' ', false, replace));
    if (json::accept("\"" + texts[i] + "\"")) CHECK(metrics[i].at("phase") == texts[i]);
    CHECK(metrics[i].at("phase") == metrics[i].at("execution").at("reason"));
    CHECK(metrics[i].at("notes").at("not_json") == metrics[i].at("phase"));
    if (i < 7) CHECK(metrics[i].at("phase") == expected);
  }
  CHECK(metrics[7].at("phase") == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("telemetry: notes that are not JSON get into the file as JSON, or JSON does not") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  const std::vector<std::string> texts{
      "{}", "[]", " { \"a\" : [1, 2.5e-3, -0, true, false, null] } ", "\"x\"", "0", "-1.5E+2",
      "{\n\t\"a\":\r\n1}", R"("\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00")", "[[[[]]]]", "\"gr\xC3\xBCn\"",
      // not JSON
      "{", "}", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "\"", "\"abc", "\"\\",
      "\"\\u12", "\"\\u-123\"", "\"\\x\"", R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", "01", "-",
      "1.", ".5", "1e", "+1", "nul", "NaN", "1 2", "{} {}", "\"a\nb\"", "\"\xC3\"", "1e999", "'a'",
      ",", "tru\"e"};
  constexpr std::size_t good = 10;
  TelemetryHandle telemetry(options);
  for (const std::string& text : texts) {
    RunMetric m = metric(0);
    m.parameters = text;
    telemetry.record(m);
  }
  RunMetric nested = metric(0);
  nested.notes = std::string(120, '[') + std::string(120, ']');
  telemetry.record(nested);
  CHECK(telemetry.finalize(60s).not_json == texts.size() - good + 1);
  const auto metrics = of_type(lines_of(options.file), "metric");
  REQUIRE(metrics.size() == texts.size() + 1);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(texts[i]);
    CHECK(json::accept(texts[i]) == (i < good));
    const json& found = metrics[i].at("parameters");
    if (i < good) CHECK(found == json::parse(texts[i]));
    if (i >= good) CHECK((found.is_object() && found.contains("not_json")));
  }
  CHECK(metrics.back().at("notes").contains("not_json"));
}

TEST_CASE("telemetry: a text that is too long is cut without a sign") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  {
    TelemetryHandle telemetry(options);
    RunMetric m = metric(0);
    m.phase = std::string(29, 'p');
    m.parameters = "\"" + std::string(251, 'j') + "\"";
    telemetry.record(m);
    m.phase = std::string(30, 'p');
    m.parameters = "\"" + std::string(252, 'j') + "\"";
    m.execution = PhaseExecution::cpu_fallback(std::string(100, 'r'));
    m.notes = std::string(254, '1');  // cut, it is JSON still
    telemetry.record(m);
  }
  const auto lines = lines_of(options.file);
  const auto metrics = of_type(lines, "metric");
  REQUIRE(metrics.size() == 2);
  CHECK(metrics[0].at("phase") == std::string(29, 'p'));
  CHECK(metrics[0].at("parameters") == std::string(251, 'j'));
  CHECK(metrics[1].at("phase") == std::string(29, 'p') + "...");
  CHECK(metrics[1].at("parameters").at("cut") == "\"" + std::string(252, 'j') + "...");
  CHECK(metrics[1].at("execution").at("reason") == std::string(61, 'r') + "...");
  CHECK(metrics[1].at("notes").at("cut") == std::string(253, '1') + "...");
  CHECK(lines.back().at("not_json") == 2);
}

TEST_CASE("telemetry: NaN or an infinity is written as it is, or a number changes") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> numbers{RunMetric::unknown,
                                    infinity,
                                    -infinity,
                                    0.1,
                                    123.45,
                                    0,
                                    1e300,
                                    -5e-324,
                                    std::numeric_limits<double>::max()};
  RunMetric largest = metric(std::numeric_limits<std::uint64_t>::max());
  {
    TelemetryHandle telemetry(options);
    for (const double number : numbers) {
      largest.duration_ms = number;
      telemetry.record(largest);
    }
  }
  const auto metrics = of_type(lines_of(options.file), "metric");
  REQUIRE(metrics.size() == numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    CHECK(metrics[i].at("step") == largest.step);
    const json& found = metrics[i].at("duration_ms");
    CHECK(found.is_null() == (i < 3));
    if (i >= 3) CHECK(found.get<double>() == numbers[i]);
  }
}

TEST_CASE("telemetry: record asks for memory") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.queue_records = 64;  // some are dropped, too
  TelemetryHandle telemetry(options);
  RunMetric m = metric(0);
  const long before = allocations;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    m.step = i;
    m.notes = R"({"note":"of the solver's own"})";
    telemetry.record(m);
  }
  CHECK(allocations == before);
}

TEST_CASE("telemetry: a snapshot is torn, out of order, or older than the last record") {
  const Directory directory;
  TelemetryHandle telemetry(to_file(directory / "run.jsonl"));
  CHECK(telemetry.snapshot().empty());
  REQUIRE(telemetry.record(metric(7)));
  REQUIRE(telemetry.snapshot().size() == 1);
  CHECK(telemetry.snapshot().front().step == 7);
  CHECK(telemetry.snapshot().front().run_id.view() == telemetry.run_id());
  std::atomic<bool> over = false;
  std::thread recording([&] {
    record_from_four_threads(telemetry, 3000);
    over = true;
  });
  bool consistent = true;
  while (!over) {
    const auto last = telemetry.snapshot();
    consistent = consistent && last.size() <= TelemetryHandle::history;
    for (std::size_t i = 0; i < last.size(); ++i) {
      const RunMetric& m = last[i];
      consistent = consistent && m.step == m.conflicts && m.step == m.chromatic_number &&
                   m.step == m.execution.number && m.run_id.view() == telemetry.run_id() &&
                   (i == 0 || m.sequence > last[i - 1].sequence);
    }
  }
  recording.join();
  CHECK(consistent);
  CHECK(telemetry.snapshot().size() == TelemetryHandle::history);
}

TEST_CASE("telemetry: a second finalize writes again, or a record after it vanishes") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  TelemetryHandle telemetry(options);
  CHECK(telemetry.record(metric(0)));
  const TelemetryStatus first = telemetry.finalize(60s);
  CHECK(first.finalized);
  const std::string text = text_of(options.file);
  CHECK_FALSE(telemetry.record(metric(1)));
  const TelemetryStatus second = telemetry.finalize(60s);
  CHECK(second.finalized);
  CHECK(second.recorded == 2);
  CHECK(second.dropped == 1);
  check_sum(second);
  CHECK(text_of(options.file) == text);
}

TEST_CASE("telemetry: a handle that goes without finalize takes records with it") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.flush_interval = 1h;
  {
    TelemetryHandle telemetry(options);
    for (std::uint64_t i = 0; i < 10; ++i) telemetry.record(metric(i));
  }
  const auto lines = lines_of(options.file);
  CHECK(of_type(lines, "metric").size() == 10);
  CHECK(of_type(lines, "summary").size() == 1);
}

TEST_CASE("telemetry: the longest waits that can be asked for end at once") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.flush_interval = std::chrono::milliseconds::max();
  TelemetryHandle telemetry(options);
  for (std::uint64_t i = 0; i < 3000; ++i) CHECK(telemetry.record(metric(i)));
  std::this_thread::sleep_for(50ms);  // enough for a writer that does not wait
  CHECK(telemetry.status().written == 0);
  const TelemetryStatus status = telemetry.finalize(std::chrono::milliseconds::max());
  CHECK(status.finalized);
  CHECK(status.written == 3000);
}

TEST_CASE("telemetry: the manifest or a record lacks what it should tell") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "run.jsonl");
  options.run_id = "night-7";
  options.gpu = "NVIDIA H200";
  options.options_json = "{\n\"slots\": 4}";
  {
    TelemetryHandle telemetry(options);
    RunMetric m = metric(3);
    m.execution = PhaseExecution::gpu_stream(2);
    telemetry.record(m);
    m.execution = PhaseExecution::disabled();
    m.phase = "my own";
    telemetry.record(m);
  }
  const auto lines = lines_of(options.file);
  REQUIRE(lines.size() == 4);
  const json& manifest = lines[0];
  CHECK(manifest.at("format") == "aatgs-telemetry");
  CHECK(manifest.at("format_version") == 1);
  CHECK(manifest.at("library_version") == library_version());
  CHECK(manifest.at("run_id") == "night-7");
  CHECK(manifest.at("gpu") == "NVIDIA H200");
  CHECK(manifest.at("options") == json{{"slots", 4}});
  CHECK(manifest.at("start_time").get<std::string>().size() == 30);
  CHECK(lines[1].at("run_id") == "night-7");
  CHECK(lines[1].at("execution") == json{{"mode", "gpu"}, {"stream", 2}});
  CHECK(lines[2].at("execution") == json{{"mode", "disabled"}});
  CHECK(lines[1].at("timestamp") <= lines[2].at("timestamp"));
  CHECK(lines[1].at("monotonic_ns") <= lines[2].at("monotonic_ns"));
  CHECK(lines[3].at("phases") == json{{"whcr", 1}, {"my own", 1}});
}

template <class Expected>
std::string refusal(const TelemetryOptions& options) {
  try {
    const TelemetryHandle telemetry(options);
  } catch (const Expected& e) {
    return e.what();
  }
  return "not refused as expected";
}

TEST_CASE("telemetry: a file that cannot be had, or an earlier run's, is not refused") {
  const Directory directory;
  TelemetryOptions options = to_file(directory / "none/run.jsonl");
  CHECK(refusal<InputError>(options) ==
        options.file.string() +
            ": telemetry cannot be written there: No such file or directory; "
            "name a file in a directory that can be written");
  options.file = directory / "run.jsonl";
  std::ofstream(options.file) << "earlier";
  std::ofstream(directory / "run.1.jsonl") << "earlier";
  CHECK(refusal<InputError>(options).find("run.1.jsonl: is a part of an earlier run") !=
        std::string::npos);
  fs::remove(directory / "run.1.jsonl");
  CHECK(refusal<InputError>(options).find("File exists; remove it") != std::string::npos);
  CHECK(text_of(options.file) == "earlier");
  std::ofstream(directory / "run.1.jsonl") << "earlier";
  options.replace = true;
  TelemetryHandle(options).finalize(60s);
  CHECK(lines_of(options.file).size() == 2);
  CHECK_FALSE(fs::exists(directory / "run.1.jsonl"));

  options.file = directory / "run.jsonl/run.jsonl";
  CHECK(refusal<InputError>(options).find("Not a directory") != std::string::npos);
}

TEST_CASE("telemetry: where no thread can be made, a file stays and keeps the next run out") {
  const Directory directory;
  const TelemetryOptions options = to_file(directory / "run.jsonl");
  pthread_attr_t usual{};
  REQUIRE(pthread_getattr_default_np(&usual) == 0);
  pthread_attr_t huge{};
  REQUIRE(pthread_attr_init(&huge) == 0);
  REQUIRE(pthread_attr_setstacksize(&huge, std::size_t{1} << 60) == 0);  // nobody has that
  REQUIRE(pthread_setattr_default_np(&huge) == 0);
  CHECK(refusal<Error>(options).find("starting the telemetry writer's thread failed") == 0);
  REQUIRE(pthread_setattr_default_np(&usual) == 0);
  CHECK_FALSE(fs::exists(options.file));
  CHECK(TelemetryHandle(options).finalize(60s).finalized);
}

TEST_CASE("telemetry: an option that cannot work is taken") {
  const Directory directory;
  const TelemetryOptions good = to_file(directory / "run.jsonl");
  TelemetryOptions options = good;
  options.queue_records = 1000;
  CHECK(refusal<OptionError>(options) ==
        "queue_records = 1000 is not a power of two of at least 2: choose one, such as 4096");
  options = good;
  options.rotate_bytes = 1000;
  CHECK(refusal<OptionError>(options).find("rotate_bytes = 1000") == 0);
  options = good;
  options.flush_interval = 0ms;
  CHECK(refusal<OptionError>(options) ==
        "flush_interval = 0 ms is not above 0: give 1 ms or more, such as 5");
  options = good;
  options.options_json = "{slots: 4}";
  CHECK(refusal<OptionError>(options).find("options_json = {slots: 4}") == 0);
  options = good;
  options.run_id = std::string(46, 'x');
  CHECK(refusal<OptionError>(options).find("is longer than 45 bytes") != std::string::npos);
  CHECK_FALSE(fs::exists(good.file));
}

}  // namespace
}  // namespace aatgs
