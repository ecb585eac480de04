// SPDX-License-Identifier: Apache-2.0
// Any text is a configuration whose values survive a round trip, or an InputError.
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <set>
#include <sstream>

#include "../../tools/program/config_file.hpp"
#include "../../tools/program/config_text.hpp"
#include "fuzz.hpp"

using namespace aatgs::program;
using aatgs::fuzz::require;

namespace {

using enum ConfigKind;

const ConfigKey keys[] = {
    {"gpu", "device_id", integer, false, "0"},       {"gpu", "executor", text, false, "\"cpu\""},
    {"gpu", "bounded", boolean, false, "false"},     {"iterative", "time_limit", number, false, ""},
    {"iterative", "sizes", integer, true, "[1, 2]"}, {"iterative", "names", text, true, ""},
    {"iterative", "rates", number, true, ""},        {"iterative", "flags", boolean, true, ""},
    {"telemetry", "file", text, false, ""},
};

/// The word as TOML.
std::string toml_of(const std::string& word, ConfigKind kind) {
  return kind == text ? config_text(word) : word;
}

std::string toml_of(const ConfigValue& value) {
  const ConfigKey& key = keys[value.key];
  std::string all;
  for (const std::string& word : value.words) {
    all += (all.empty() ? "" : ", ") + toml_of(word, key.kind);
  }
  return key.table + "." + key.key + " = " + (key.is_list ? "[" + all + "]" : all) + "\n";
}

void check_value(const ConfigValue& value, std::size_t lines) {
  require(value.key < std::size(keys), "a key that is none");
  const ConfigKey& key = keys[value.key];
  require(value.words.size() == 1 || (key.is_list && value.words.size() > 1),
          "a list of one value");
  require(value.line >= 1 && value.line <= lines && value.column >= 1, "a value out of the text");
  for (const std::string& word : value.words) {
    if (key.kind == boolean) require(word == "true" || word == "false", "a boolean that is none");
    if (key.kind == integer) require(std::to_string(std::stoll(word)) == word, "no integer");
    if (key.kind == number) (void)std::stold(word);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::istringstream in(text);
  try {
    const auto values = read_config(in, "c.toml", keys);
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
    std::string copy;
    std::set<std::size_t> seen;
    for (const ConfigValue& value : values) {
      check_value(value, lines);
      require(seen.insert(value.key).second, "a key twice");
      copy += toml_of(value);
    }
    std::istringstream again(copy);
    const auto copied = read_config(again, "copy", keys);
    require(std::ranges::equal(values, copied,
                               [](const ConfigValue& a, const ConfigValue& b) {
                                 return a.key == b.key && a.words == b.words;
                               }),
            "a copy is another configuration");
  } catch (const aatgs::InputError& error) {
    aatgs::fuzz::require_one_line(error.what());
    require(std::string_view(error.what()).starts_with("c.toml:"), "an error without its file");
  }
  return 0;
}
