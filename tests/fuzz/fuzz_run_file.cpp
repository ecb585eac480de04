// SPDX-License-Identifier: Apache-2.0
// Any text is the lines of a run that are shown on one line each, or an InputError with its line;
// it is also a condition on records, or an OptionError. What the library's own writer takes for
// JSON is JSON to the reader.
#include <sys/mman.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>

#include "fuzz.hpp"
#include "json_text.hpp"
#include "run_reader.hpp"
#include "times.hpp"
#include "views.hpp"
#include "where.hpp"

using namespace aatgs::monitor;
using aatgs::fuzz::require;

namespace {

void require_no_control(const std::string& text) {
  for (const char c : text) {
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a control character is shown");
  }
}

void check_shown(const Line& line) {
  if (line.type == Line::Type::manifest) require_no_control(begin_line(line));
  if (line.type == Line::Type::summary) require_no_control(end_line(line));
  if (line.type != Line::Type::metric) return;
  require_no_control(progress_line(line.record, false));
  require(csv_row(line.record).ends_with("\n"), "a row without end");
  require(parse_utc(line.record.timestamp) == line.record.unix_ns, "another time");
}

void check_where(const std::string& text, const Record* record) {
  try {
    const Where where = Where::parse(text);
    if (record != nullptr) static_cast<void>(where.holds(*record));
  } catch (const aatgs::OptionError& error) {
    aatgs::fuzz::require_one_line(error.what());
  }
}

void check_line(const std::string& line, const std::string& where) {
  LineParser parser;
  try {
    const Line& parsed = parser.parse(line);
    check_shown(parsed);
    check_where(where, parsed.type == Line::Type::metric ? &parsed.record : nullptr);
  } catch (const LineError& error) {
    aatgs::fuzz::require_one_line(error.what());
    require(error.is_json || !aatgs::is_json(line), "JSON of the writer is none to the reader");
    check_where(where, nullptr);
  }
}

/// Of a file that holds `text`.
void check_file(const std::string& text) {
  const int descriptor = ::memfd_create("run", 0);
  require(descriptor >= 0, "no memory file");
  require(::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
          "the memory file is short");
  const std::string name = "/proc/self/fd/" + std::to_string(descriptor);
  LineParser parser;
  const auto say = [](const std::string& remark) { aatgs::fuzz::require_one_line(remark); };
  RunReader reader(name, parser, say);
  std::uint64_t last = 0;
  const auto take = [&](const Line& line) { require(line.number == ++last, "a line is left out"); };
  try {
    reader.read(take);
    reader.finish(take);
  } catch (const aatgs::InputError& error) {
    aatgs::fuzz::require_one_line(error.what());
    require(std::string_view(error.what()).starts_with(name + ":"), "an error without its file");
  }
  reader.close();
  ::close(descriptor);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\n'), text.size());
  check_line(text.substr(0, end), text.substr(std::min(end + 1, text.size())));
  static_cast<void>(parse_duration(text));
  check_file(text);
  return 0;
}
