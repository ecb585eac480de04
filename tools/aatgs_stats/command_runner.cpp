// SPDX-License-Identifier: Apache-2.0
#include "command_runner.hpp"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "child_process.hpp"
#include "text_input.hpp"

namespace aatgs {
namespace {

namespace fs = std::filesystem;

/// For one run; goes with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* parent = ::getenv("TMPDIR");
    path_ = fs::absolute(parent == nullptr || *parent == '\0' ? "/tmp" : parent).string() +
            "/aatgs-tune-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) {
      throw InputError("cannot make a directory '" + path_ + "' for statistics pages: " +
                       std::generic_category().message(errno) + "; TMPDIR names another place");
    }
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<std::string> variables_of(const Setting& setting) {
  return {std::string(config_slots_variable) + "=" + std::to_string(setting.config_slots),
          std::string(telemetry_slots_variable) + "=" + std::to_string(setting.telemetry_slots)};
}

/// What was written last, for a message.
std::string last_line(const std::string& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  constexpr std::streamoff most = 4096;
  const std::streamoff size = in.tellg();
  if (size <= 0) return {};
  in.seekg(std::max<std::streamoff>(size - most, 0));
  std::string last;
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  }
  return last.empty() ? last : "; it said: " + printable(last, 300);
}

}  // namespace

Measurement CommandRunner::operator()(const Setting& setting) const {
  const TemporaryDirectory directory;
  const std::string errors = directory.path() + "/errors";
  std::vector<std::string> variables = variables_of(setting);
  const std::string run =
      "'" + printable(command_.front()) + "' with " + variables[0] + " " + variables[1];
  variables.push_back("AATGS_STATS=" + directory.path());
  variables.emplace_back("AATGS_STATS_KEEP=1");
  ChildProcess child(command_, variables, errors);
  const ChildEnd end = child.wait(timeout_);
  switch (end.kind) {
    case ChildEnd::Kind::interrupted:
      throw Error("ended by signal " + std::to_string(end.number) + " while " + run + " ran");
    case ChildEnd::Kind::timed_out:
      throw TimeoutError(run + " did not end within " + std::to_string(timeout_.count()) +
                         " s: give it less to do, or raise --timeout" + last_line(errors));
    case ChildEnd::Kind::signaled:
      throw Error(run + " was ended by signal " + std::to_string(end.number) + " (" +
                  ::strsignal(end.number) + ")" + last_line(errors));
    case ChildEnd::Kind::exited:
      break;
  }
  if (end.number != 0) {
    throw Error(run + " failed with status " + std::to_string(end.number) + last_line(errors));
  }
  return read_pages(directory.path(), setting);
}

Measurement CommandRunner::read_pages(const std::string& directory, Setting setting) const {
  const std::string name = "'" + printable(command_.front()) + "'";
  std::vector<ExecutionStatistics> used;
  std::vector<ExecutionStatistics> others;
  std::string executor;
  for (const PublishedContext& page : read_statistics_pages(directory)) {
    if (!page.problem.empty()) throw InputError(name + " left a page: " + page.problem);
    const ExecutionStatistics& s = page.report.statistics;
    if (s.submitted == 0) continue;
    const bool obeys = s.config_ring.slots == setting.config_slots &&
                       s.telemetry_ring.slots == setting.telemetry_slots;
    (obeys ? used : others).push_back(s);
    if (!obeys) continue;
    executor = to_string(static_cast<ExecutorKind>(page.report.executor));
    setting.config_policy = static_cast<ConfigPolicy>(page.identity.config_policy);
    setting.telemetry_policy = static_cast<TelemetryPolicy>(page.identity.telemetry_policy);
  }
  if (used.empty() && others.empty()) {
    throw InputError(name +
                     " has published no statistics of any config: it must use this version of the "
                     "library, run configs, and not set publish_statistics to false");
  }
  if (used.empty()) {
    const ExecutionStatistics& s = others.front();
    throw InputError(
        name + " ignores the environment: its rings have " + std::to_string(s.config_ring.slots) +
        " and " + std::to_string(s.telemetry_ring.slots) + " slots, asked for were " +
        std::to_string(setting.config_slots) + " and " + std::to_string(setting.telemetry_slots) +
        "; do not set them in its ContextOptions or by its arguments");
  }
  Measurement m = measurement_of(setting, used);
  m.executor = executor;
  if (m.collected >= fewest_configs) return m;
  throw InputError(name + " ran " + std::to_string(m.collected) + " configs, too few to judge " +
                   "rings by: let it run at least " + std::to_string(fewest_configs));
}

}  // namespace aatgs
