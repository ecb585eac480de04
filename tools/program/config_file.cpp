// SPDX-License-Identifier: Apache-2.0
#include "config_file.hpp"

// toml++ 3.3 asserts some of what a file may do wrong, and then reports it all the same.
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <numeric>
#include <optional>
#include <string_view>

#include "config_text.hpp"
#include "text_input.hpp"
#include "toml_characters.hpp"

namespace aatgs::program {
namespace {

constexpr std::size_t most_bytes = 64 << 10;
constexpr std::size_t most_dots = 4000;

/// Letters to insert, delete or replace to make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

/// "did you mean NEAREST?", or all that there are.
std::string suggestion(std::string_view word, const std::vector<std::string>& known,
                       const std::string& what) {
  const std::string* best = nullptr;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::string all;
  for (const std::string& candidate : known) {
    all += (all.empty() ? "" : ", ") + candidate;
    const bool begins = word.size() > 2 && candidate.starts_with(word);
    const std::size_t off = begins ? 1 : distance(word.substr(0, 100), candidate);
    if (off >= least) continue;
    least = off;
    best = &candidate;
  }
  return best != nullptr ? "did you mean " + *best + "?" : "the " + what + " are " + all;
}

std::string wanted(const ConfigKey& key) {
  std::string kind;
  switch (key.kind) {
    case ConfigKind::boolean:
      kind = "true or false";
      break;
    case ConfigKind::integer:
      kind = key.is_list ? "integers" : "an integer";
      break;
    case ConfigKind::number:
      kind = key.is_list ? "numbers" : "a number";
      break;
    case ConfigKind::text:
      kind = key.is_list ? "strings" : "a string";
      break;
  }
  return "give " + std::string(key.is_list ? "a list of " : "") + kind +
         (key.example.empty() ? "" : ", such as " + printable(key.example));
}

std::string named(toml::node_type type) {
  using toml::node_type;
  switch (type) {
    case node_type::table:
      return "a table";
    case node_type::array:
      return "a list";
    case node_type::string:
      return "a string";
    case node_type::integer:
      return "an integer";
    case node_type::floating_point:
      return "a number with a fraction";
    case node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

/// The value as a command line would say it, or nothing if it is of another kind.
std::optional<std::string> word_of(const toml::node& node, ConfigKind kind) {
  if (const auto* integer = node.as_integer()) {
    const bool fits = kind == ConfigKind::integer || kind == ConfigKind::number;
    return fits ? std::optional(std::to_string(integer->get())) : std::nullopt;
  }
  if (const auto* number = node.as_floating_point()) {
    return kind == ConfigKind::number ? std::optional(config_text(number->get())) : std::nullopt;
  }
  if (const auto* boolean = node.as_boolean()) {
    return kind == ConfigKind::boolean ? std::optional(config_text(boolean->get())) : std::nullopt;
  }
  if (const auto* text = node.as_string()) {
    return kind == ConfigKind::text ? std::optional(lower_characters(text->get())) : std::nullopt;
  }
  return std::nullopt;
}

class Reader {
 public:
  Reader(const std::string& name, std::span<const ConfigKey> keys) : name_(name), keys_(keys) {
    for (const ConfigKey& key : keys) {
      const std::string shown = "[" + key.table + "]";
      if (std::ranges::find(tables_, shown) == tables_.end()) tables_.push_back(shown);
    }
  }

  std::vector<ConfigValue> read(const std::string& text) {
    const toml::table root = parse(text);
    for (const auto& [key, node] : root) take_table(key, node);
    return std::move(values_);
  }

 private:
  [[noreturn]] void fail(const toml::source_region& at, const std::string& reason) const {
    throw InputError(printable(name_) + ":" + std::to_string(at.begin.line) + ":" +
                     std::to_string(at.begin.column) + ": " + reason);
  }

  toml::table parse(const std::string& text) const {
    // A dotted key makes a table of each part, and toml++ 3.3 destroys them by recursion.
    if (static_cast<std::size_t>(std::ranges::count(text, '.')) > most_dots) {
      throw_at(name_, 0,
               "has more than " + std::to_string(most_dots) + " dots: this is no configuration");
    }
    if (has_plane_15(text)) {
      throw_at(name_, 0, "has characters for private use (U+F0000 and up), which are kept for us");
    }
    try {
      return toml::parse(std::string_view(lift_characters(text)));
    } catch (const toml::parse_error& e) {
      fail(e.source(), "no valid TOML: " + printable(e.description(), 300));
    }
  }

  void take_table(const toml::key& name, const toml::node& node) {
    const std::string shown = "[" + printable(name.str()) + "]";
    const bool is_known = std::ranges::any_of(
        keys_, [&](const ConfigKey& key) { return std::string_view(key.table) == name.str(); });
    if (const toml::table* table = node.as_table(); table != nullptr && is_known) {
      for (const auto& [key, value] : *table) take(name.str(), key, value);
      return;
    }
    if (is_known) {
      fail(name.source(), printable(name.str()) + " is " + named(node.type()) +
                              ", not a table: write " + shown + " above its keys, once");
    }
    if (!node.is_table()) {
      fail(name.source(), "the key '" + printable(name.str()) + "' stands in no table: " +
                              place_of(name.str()).value_or("the tables are " + all_tables()));
    }
    fail(name.source(), "unknown table " + shown + ": " + suggestion(shown, tables_, "tables"));
  }

  void take(std::string_view table, const toml::key& name, const toml::node& node) {
    const auto found = std::ranges::find_if(keys_, [&](const ConfigKey& key) {
      return std::string_view(key.table) == table && std::string_view(key.key) == name.str();
    });
    if (found == keys_.end()) fail_unknown(table, name);
    const toml::source_position at = node.source().begin;
    values_.push_back({static_cast<std::size_t>(found - keys_.begin()), words_of(*found, node),
                       at.line, at.column});
  }

  std::vector<std::string> words_of(const ConfigKey& key, const toml::node& node) const {
    const std::string shown = key.key + " in [" + key.table + "]";
    const toml::array* list = node.as_array();
    if (key.is_list != (list != nullptr)) {
      fail(node.source(), shown + " is " + named(node.type()) + ": " + wanted(key));
    }
    std::vector<std::string> words;
    const auto take_word = [&](const toml::node& value) {
      auto word = word_of(value, key.kind);
      if (!word) {
        const std::string holds = list != nullptr ? " has " : " is ";
        fail(value.source(), shown + holds + named(value.type()) + ": " + wanted(key));
      }
      words.push_back(std::move(*word));
    };
    if (list == nullptr) {
      take_word(node);
      return words;
    }
    for (const toml::node& value : *list) take_word(value);
    if (words.empty()) fail(node.source(), shown + " is an empty list: " + wanted(key));
    return words;
  }

  [[noreturn]] void fail_unknown(std::string_view table, const toml::key& name) const {
    std::vector<std::string> known;
    for (const ConfigKey& key : keys_) {
      if (std::string_view(key.table) == table) known.push_back(key.key);
    }
    fail(name.source(),
         "[" + std::string(table) + "] has no key '" + printable(name.str()) +
             "': " + place_of(name.str()).value_or(suggestion(name.str(), known, "keys")));
  }

  /// Where a key of this name belongs.
  std::optional<std::string> place_of(std::string_view name) const {
    for (const ConfigKey& key : keys_) {
      if (std::string_view(key.key) == name) return "it belongs in [" + key.table + "]";
    }
    return std::nullopt;
  }

  std::string all_tables() const {
    std::string all;
    for (const std::string& table : tables_) all += (all.empty() ? "" : ", ") + table;
    return all;
  }

  const std::string& name_;
  std::span<const ConfigKey> keys_;
  std::vector<std::string> tables_;  ///< with brackets
  std::vector<ConfigValue> values_;
};

}  // namespace

std::vector<ConfigValue> read_config(std::istream& in, const std::string& name,
                                     std::span<const ConfigKey> keys) {
  std::string text(most_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) throw_at(name, 0, "cannot read: input/output error");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most_bytes) {
    throw_at(
        name, 0,
        "is larger than " + std::to_string(most_bytes >> 10) + " KiB: this is no configuration");
  }
  return Reader(name, keys).read(text);
}

std::vector<ConfigValue> read_config(const std::filesystem::path& path,
                                     std::span<const ConfigKey> keys) {
  std::ifstream in = open_input(path);
  return read_config(in, path.string(), keys);
}

}  // namespace aatgs::program
