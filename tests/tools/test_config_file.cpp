// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "gpu_table.hpp"
#include "program.hpp"

namespace {

using namespace aatgs;
using namespace aatgs::program;

/// One variable of each kind, as a program would have them.
struct Values {
  bool flag = false;
  std::uint32_t count = 7;
  double ratio = 0.5;
  std::string name = "a";
  std::vector<int> sizes{1, 2};
  std::optional<std::uint64_t> limit;
  std::uint64_t seed = 1;
  std::string graph;
  ContextOptions context;
  PipelineGpuOptions phases;
};

void declare(Configuration& config, Values& v) {
  const auto whole = whole_number();
  auto table = config.table("iterative");
  table.add({"flag", "--flag"}, v.flag, "a flag");
  table.add({"count", "--count", "TEST_COUNT"}, v.count, "a count")->check(CLI::Range(1, 100));
  table.add({"ratio", "--ratio"}, v.ratio, "a ratio");
  GpuTable(config, v.context)
      .device()
      .executor()
      .scope()
      .rings()
      .workers()
      .park_after()
      .phases(v.phases);
  config.table("telemetry").add({"file", "--telemetry"}, v.name, "a name");
  table.add({"sizes", "--sizes"}, v.sizes, "sizes")->check(whole);  // the table goes on
  table.add({"limit", "--limit"}, v.limit, "a limit");
  table.add({"seed", "--seed"}, v.seed, "a seed")->check(whole);
  config.table("initial_coloring").add({"graph", "--graph"}, v.graph, "a graph")->required();
}

struct Outcome {
  int status = 0;
  std::string out, error;
  Values values;
  std::string json;
};

/// Stands in for a standard stream.
class Captured {
 public:
  explicit Captured(std::ostream& stream) : stream_(stream), old_(stream.rdbuf(text_.rdbuf())) {}
  ~Captured() { stream_.rdbuf(old_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::ostream& stream_;
  std::streambuf* old_;
};

Outcome run_program(std::vector<std::string> arguments) {
  Outcome outcome;
  CLI::App app("A test", "test");
  Configuration config(app);
  declare(config, outcome.values);
  arguments.insert(arguments.begin(), "test");
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  const Captured out(std::cout);
  const Captured error(std::cerr);
  outcome.status = run(config, static_cast<int>(words.size()), words.data(), [&] {
    outcome.json = config.json();
    std::cout << "body";
    return 0;
  });
  outcome.out = out.text();
  outcome.error = error.text();
  return outcome;
}

/// A file in the temporary directory, for as long as it lives.
class File {
 public:
  explicit File(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("aatgs-config-" + std::to_string(::getpid()) + ".toml")) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~File() { std::filesystem::remove(path_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

Outcome run_file(const std::string& text, std::vector<std::string> more = {}) {
  const File file(text);
  more.insert(more.end(), {"--graph", "g", "--config", file.path()});
  Outcome outcome = run_program(more);
  // What is in another place each time.
  const std::size_t at = outcome.error.find(file.path());
  if (at != std::string::npos) outcome.error.replace(at, file.path().size(), "FILE");
  return outcome;
}

/// An environment variable, for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

/// The file must be refused with a line that begins so.
void check_refused(const std::string& text, const std::string& beginning) {
  CAPTURE(text);
  const Outcome outcome = run_file(text);
  CHECK(outcome.status == 2);
  CHECK(outcome.out.empty());
  CHECK(outcome.error.substr(0, beginning.size() + 6) == "test: " + beginning);
  CHECK(std::ranges::count(outcome.error, '\n') == 1);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* whole_file = R"(# every key
telemetry.file = 'C:\x "y"'
[iterative]
flag = true
count = 0x10
ratio = 3   # an integer for a number
sizes = [
  4, # more
  5 ]
limit = 1_000
seed = 9
[initial_coloring]
graph = "queen:5"
[gpu]
device_id = 1
executor = "cpu"
scope = "grid"
config_slots = 64
telemetry_slots = 32
workers = 3
park_after_ms = 7
stream_mode = "sequential"
streams = 4
)";

TEST_CASE("configuration: a value is read as another one") {
  const File file(whole_file);
  const Outcome outcome = run_program({"--config", file.path()});
  REQUIRE(outcome.error.empty());
  CHECK(outcome.status == 0);
  CHECK(outcome.out == "body");
  const Values& v = outcome.values;
  CHECK(v.flag);
  CHECK(v.count == 16);
  CHECK(v.ratio == 3);
  CHECK(v.name == "C:\\x \"y\"");
  CHECK(v.sizes == std::vector{4, 5});
  CHECK(v.limit == 1000);
  CHECK(v.seed == 9);
  CHECK(v.graph == "queen:5");
  CHECK(v.context.device == 1);
  CHECK(v.context.executor == ExecutorKind::cpu);
  CHECK(v.context.scope == Scope::grid);
  CHECK(v.context.config_slots == 64);
  CHECK(v.context.telemetry_slots == 32);
  CHECK(v.context.workers == 3);
  CHECK(v.context.park_after == std::chrono::milliseconds(7));
  CHECK(v.phases.stream_mode == StreamMode::sequential);
  CHECK(v.phases.streams == 4);
}

TEST_CASE("configuration: a table or key that is unknown passes, or the nearest is not named") {
  check_refused("[iterativ]\n", "FILE:1:2: unknown table [iterativ]: did you mean [iterative]?");
  check_refused("\n[x]\ny = 1\n",
                "FILE:2:2: unknown table [x]: the tables are [iterative], [gpu], ");
  check_refused("[gpu]\n  config_slot = 1\n",
                "FILE:2:3: [gpu] has no key 'config_slot': did you mean config_slots?");
  check_refused("[gpu]\nconfig = 1\n", "FILE:2:1: [gpu] has no key 'config': did you mean conf");
  check_refused("[telemetry]\nqqqqqqqq = 1\n",
                "FILE:2:1: [telemetry] has no key 'qqqqqqqq': the keys are file");
  check_refused("[gpu]\ncount = 1\n", "FILE:2:1: [gpu] has no key 'count': it belongs in [iterat");
  check_refused("graph = 'g'\n", "FILE:1:1: the key 'graph' stands in no table: it belongs in [i");
  check_refused("zzz = 1\n", "FILE:1:1: the key 'zzz' stands in no table: the tables are [");
  check_refused("gpu = 1\n", "FILE:1:1: gpu is an integer, not a table: write [gpu] above");
  check_refused("[[gpu]]\nscope = 'grid'\n", "FILE:1:3: gpu is a list, not a table: write [gpu]");
  check_refused("[gpu.scope]\n",
                "FILE:1:1: scope in [gpu] is a table: give a string, such as \"bl");
  check_refused("[gpu]\n\"\\u001b\\n\" = 1\n", "FILE:2:1: [gpu] has no key '?\?': ");
}

TEST_CASE("configuration: a value of another kind is taken, or not where it stands") {
  check_refused("[iterative]\nflag = 1\n",
                "FILE:2:8: flag in [iterative] is an integer: give true or false, such as false");
  check_refused("[iterative]\ncount = '1'\n",
                "FILE:2:9: count in [iterative] is a string: give an integer, such as 7");
  check_refused("[iterative]\ncount = 1.0\n", "FILE:2:9: count in [iterative] is a number with");
  check_refused("[iterative]\ncount = true\n", "FILE:2:9: count in [iterative] is a boolean: ");
  check_refused("[iterative]\ncount = 2020-01-01\n", "FILE:2:9: count in [iterative] is a date");
  check_refused("[iterative]\ncount = [1]\n", "FILE:2:9: count in [iterative] is a list: give an");
  check_refused("[iterative]\nratio = '1'\n",
                "FILE:2:9: ratio in [iterative] is a string: give a number, such as 0.5");
  check_refused("[iterative]\nsizes = 1\n",
                "FILE:2:9: sizes in [iterative] is an integer: give a "
                "list of integers, such as [1, 2]");
  check_refused("[iterative]\nsizes = [1, 'a']\n",
                "FILE:2:13: sizes in [iterative] has a string: ");
  check_refused("[iterative]\nsizes = [[1]]\n", "FILE:2:10: sizes in [iterative] has a list: ");
  check_refused("[iterative]\nsizes = []\n", "FILE:2:9: sizes in [iterative] is an empty list: ");
  check_refused("[telemetry]\nfile = 1\n", "FILE:2:8: file in [telemetry] is an integer: give a s");
  // Also where the command line has the last word.
  CHECK(run_file("[iterative]\ncount = '1'\n", {"--count", "2"}).status == 2);
}

TEST_CASE("configuration: a value out of range is taken, or not where it stands") {
  check_refused("[iterative]\n\ncount = 101\n",
                "FILE:3:9: count in [iterative]: Value 101 not in ");
  check_refused("[iterative]\ncount = -1\n", "FILE:2:9: count in [iterative]: Value -1 not in ");
  check_refused("[iterative]\nseed = -1\n", "FILE:2:8: seed in [iterative]: '-1' is not a whole");
  check_refused("[iterative]\nsizes = [1, -2]\n",
                "FILE:2:9: sizes in [iterative]: '-2' is not a w");
  check_refused("[gpu]\nconfig_slots = 3\n",
                "FILE:2:16: config_slots in [gpu]: config_slots = 3 is not a power of two from 1 ");
  check_refused("[gpu]\nworkers = 4294967296\n",
                "FILE:2:11: workers in [gpu]: '4294967296' is too");
  check_refused("[gpu]\nexecutor = 'gpu'\n",
                "FILE:2:12: executor in [gpu]: unknown executor 'gpu'");
  check_refused("[gpu]\nscope = ''\n", "FILE:2:9: scope in [gpu]: unknown scope ''");
  check_refused("[gpu]\nstream_mode = 'async'\n",
                "FILE:2:15: stream_mode in [gpu]: unknown stream_mode 'async': choose one of ");
  check_refused("[gpu]\nstreams = 65\n", "FILE:2:11: streams in [gpu]: Value 65 not in range");
  check_refused("[gpu]\npark_after_ms = 9_223_372_036_854_775_807\n",
                "FILE:2:17: park_after_ms in [gpu]: Value 9223372036854775807 not in range");
  check_refused("[gpu]\npark_after_ms = 9_223_372_036_854_775_808\n", "FILE:2:42: no valid TOML: ");
}

TEST_CASE("configuration: a text that is no TOML is taken, or its place not named") {
  check_refused("[gpu]\nscope = grid\n", "FILE:2:9: no valid TOML: ");
  check_refused("[gpu]\nscope = 'grid'\nscope = 'block'\n", "FILE:3:9: no valid TOML: ");
  check_refused("[gpu]\n[gpu]\n", "FILE:2:");
  check_refused("[gpu\n", "FILE:1:5: no valid TOML: ");
  check_refused("[gpu]\nscope = 'gr\nid'\n", "FILE:2:");
  check_refused(std::string("[gpu]\n\0", 7), "FILE:2:1: no valid TOML: ");
  check_refused("# \xff\n", "FILE:1:");
  check_refused("x = " + std::string(5000, '['), "FILE:1:");
  check_refused(std::string(70000, ' '), "FILE:0: is larger than 64 KiB");
  CHECK(run_file("").status == 0);
}

TEST_CASE("configuration: characters that toml++ cannot take outside of strings reach it") {
  for (const std::string character : {"\xc2\xa1", "\xc3\xa9", "\xd0\xb0", "\xef\xbb\xa5"}) {
    check_refused("x = " + character + "\n", "FILE:1:5: no valid TOML: ");
    check_refused("[gpu]" + character + "\n", "FILE:1:6: no valid TOML: ");
    const std::string text = "'" + character + "' # " + character + "\n";
    CHECK(run_file("[telemetry]\nfile = " + text).values.name == character);
    const std::string lines = "\"\"\"\\\n" + character + "\"\"\"\n";
    CHECK(run_file("[telemetry]\nfile = " + lines).values.name == character);
  }
  CHECK(run_file("\xef\xbb\xbf[gpu]\n").status == 0);
  check_refused("# \xf3\xb0\x83\xa9\n", "FILE:0: has characters for private use");
  check_refused("telemetry.file = \"\\U000f00e9\"\n", "FILE:0: has characters for private use");
}

TEST_CASE("configuration: tables inside tables exhaust the stack") {
  std::string key = "a";
  for (int i = 0; i < 4000; ++i) key += ".a";
  check_refused(key + " = 1", "FILE:1:1: unknown table [a]: ");
  check_refused(key + ".a = 1", "FILE:0: has more than 4000 dots: ");
}

TEST_CASE("configuration: a file that cannot be read is taken for an empty one") {
  for (const std::string path : {"", "/no/such/file", "/tmp", "/dev/full", "/dev/zero"}) {
    CAPTURE(path);
    const Outcome outcome = run_program({"--graph", "g", "--config", path});
    CHECK(outcome.status == 2);
    CHECK(outcome.error.starts_with("test: " + path));
    CHECK(outcome.out.empty());
  }
}

TEST_CASE("configuration: the file goes before the environment, or that before the command line") {
  for (int given = 0; given < 8; ++given) {
    CAPTURE(given);
    std::optional<Variable> variable;
    if ((given & 2) != 0) variable.emplace("TEST_COUNT", "20");
    std::vector<std::string> words;
    if ((given & 4) != 0) words = {"--count", "30"};
    const std::string file = (given & 1) != 0 ? "[iterative]\ncount = 10\n" : "";
    const Outcome outcome = run_file(file, words);
    CHECK(outcome.error.empty());
    const std::uint32_t expected[] = {7, 10, 20, 20, 30, 30, 30, 30};
    CHECK(outcome.values.count == expected[given]);
  }
}

TEST_CASE("configuration: a bad value in the environment is taken, or the variable not named") {
  for (const char* value : {"", "x", "0", "101", "-1"}) {
    CAPTURE(value);
    const Variable variable("TEST_COUNT", value);
    const Outcome outcome = run_file("[iterative]\ncount = 10\n");
    CHECK(outcome.status == 2);
    CHECK(contains(outcome.error, "environment variable TEST_COUNT, for --count: "));
    CHECK(run_file("", {"--count", "5"}).values.count == 5);
  }
  const Variable slots(config_slots_variable, "3");
  CHECK(contains(run_file("").error, "AATGS_CONFIG_SLOTS, for --config-slots: config_slots = 3"));
  CHECK(run_file("[gpu]\ndevice_id = 1", {"--config-slots", "8"}).values.context.device == 1);
}

TEST_CASE("configuration: a required option in a file is not enough, or its absence passes") {
  const File file("[initial_coloring]\ngraph = 'g'\n");
  CHECK(run_program({"--config", file.path()}).values.graph == "g");
  const Outcome outcome = run_program({});
  CHECK(outcome.status == 2);
  CHECK(outcome.error == "test: --graph is required; --help lists the options\n");
}

/// Without the comments, which differ.
std::string without_origins(const std::string& toml) {
  std::istringstream in(toml);
  std::string out, line;
  while (std::getline(in, line)) out += line.substr(0, line.find("  # ")) + "\n";
  return out;
}

TEST_CASE("configuration: what is printed is not what is meant, or is read as something else") {
  const Variable variable("TEST_COUNT", "20");
  const Outcome first = run_file(whole_file, {"--print-config", "--ratio", "1e300"});
  REQUIRE(first.error.empty());
  CHECK(first.status == 0);
  CHECK(contains(first.out, "\nratio = 1e+300  # command line\n"));
  CHECK(contains(first.out, "\ncount = 20  # environment TEST_COUNT\n"));
  CHECK(contains(first.out, "\nsizes = [4, 5]  # /"));
  CHECK(contains(first.out, ".toml:7\n"));
  CHECK(contains(first.out, "\npark_after_ms = 7  # "));
  CHECK_FALSE(contains(first.out, "body"));
  const File again(first.out);
  const Outcome second = run_program({"--config", again.path(), "--print-config"});
  CHECK(without_origins(second.out) == without_origins(first.out));
  CHECK(contains(run_program({"--print-config"}).out, "\n# graph: required, not given\n"));
  CHECK(contains(run_program({"--print-config"}).out, "\n# limit: not given\n"));
  CHECK(contains(run_program({"--print-config"}).out, "\nratio = 0.5  # default\n"));
}

TEST_CASE("configuration: a text changes on its way through a file and the options") {
  for (const std::string text :
       {"",     "[]",      "[a,b]", "{}",           "%%",    "--flag",
        "a b",  "'",       "\"",    "\\",           "\\n",   "\n",
        "\t",   "\x1b[2J", "\x7f",  "# no comment", "  # a", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
        "true", "1"}) {
    CAPTURE(text);
    std::vector<std::string> words{"--graph=g", "--print-config", "--telemetry=" + text};
    if (text.empty()) {  // CLI11 then needs two words
      words.back() = "--telemetry";
      words.push_back(text);
    }
    const Outcome first = run_program(words);
    REQUIRE(first.status == 0);
    const File file(first.out);
    CHECK(run_program({"--config", file.path()}).values.name == text);
  }
}

TEST_CASE("configuration: a value that TOML cannot hold is printed all the same") {
  const Outcome seed = run_program({"--seed", "9223372036854775808", "--print-config"});
  CHECK(seed.status == 2);
  CHECK(seed.out.empty());
  CHECK(contains(seed.error, "--print-config: --seed is 9223372036854775808, for which TOML"));
  const Outcome name = run_program({"--telemetry", "\xff", "--print-config"});
  CHECK(name.status == 2);
  CHECK(contains(name.error, "--telemetry is \"?\", for which TOML has no text"));
}

TEST_CASE("configuration: the options as JSON are not JSON, or miss some") {
  const Outcome outcome =
      run_program({"--graph", "\"g\xff\x1b\n", "--limit", "4", "--seed", "18446744073709551615"});
  CHECK(outcome.json ==
        R"({"iterative":{"flag":false,"count":7,"ratio":0.5,"sizes":[1, 2],"limit":4,)"
        R"("seed":18446744073709551615},"gpu":{"device_id":0,"executor":"automatic",)"
        R"("scope":"block","config_slots":1024,"telemetry_slots":1024,"workers":0,)"
        R"("park_after_ms":5,"stream_mode":"parallel","streams":0},"telemetry":{"file":"a"},)"
        R"("initial_coloring":{"graph":"\"g?\u001b\u000a"}})");
}

TEST_CASE("configuration: --help does not tell what is required, or which variable counts") {
  const std::string help = run_program({"--help"}).out;
  CHECK(contains(help, "a graph (required)"));
  CHECK(contains(help, "slots of the config ring (or AATGS_CONFIG_SLOTS)"));
  CHECK(contains(help, "--print-config"));
}

}  // namespace
