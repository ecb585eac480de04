// SPDX-License-Identifier: Apache-2.0
#include "configuration.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "program.hpp"
#include "text_input.hpp"

namespace aatgs::program {
namespace {

/// What CLI11 says, without the option's name before it.
std::string reason_of(const CLI::Option& option, const std::string& said) {
  const std::string prefix = option.get_name() + ": ";
  return said.starts_with(prefix) ? said.substr(prefix.size()) : said;
}

/// Gives the option a value as the command line does. `where` begins the message if it is refused.
void set(CLI::Option& option, std::vector<std::string> words, const std::string& where) {
  try {
    option.add_result(std::move(words));
    option.run_callback();
  } catch (const CLI::ParseError& e) {
    throw InputError(where + reason_of(option, e.what()));
  } catch (const OptionError& e) {
    throw InputError(where + e.what());
  }
}

/// Whether the text is read as it is, which bytes that are not UTF-8 and large integers are not.
bool has_toml_text(const ConfigKey& key, const std::string& text) {
  std::istringstream file("[" + key.table + "]\n" + key.key + " = " + text);
  try {
    read_config(file, key.key, std::span(&key, 1));
    return true;
  } catch (const InputError&) {
    return false;
  }
}

void replace_bytes_over_127(std::string& text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) > 127; }, '?');
}

}  // namespace

Configuration::Configuration(CLI::App& app) : app_(app) {
  app.add_option("--config", file_, "TOML file with options that are not given here")
      ->type_name("FILE");
  app.add_flag("--print-config", print_,
               "print the options as such a file, with the origin of each, and leave");
}

Configuration::Table Configuration::table(std::string name) {
  return {*this, std::move(name)};
}

CLI::Option* Configuration::Table::add_read(const OptionNames& names, ConfigKind kind,
                                            const std::function<void(const std::string&)>& read,
                                            std::function<std::optional<std::string>()> text,
                                            const std::string& description) {
  CLI::Option* option =
      config_.app_.add_option_function<std::string>(names.flag, read, description);
  return declare(names, option, kind, false, std::move(text));
}

CLI::Option* Configuration::Table::declare(const OptionNames& names, CLI::Option* option,
                                           ConfigKind kind, bool is_list,
                                           std::function<std::optional<std::string>()> text) {
  config_.entries_.push_back({.key = {name_, names.key, kind, is_list, {}},
                              .option = option,
                              .environment = names.environment,
                              .text = std::move(text)});
  return option;
}

void Configuration::prepare() {
  for (Entry& entry : entries_) {
    entry.key.example = entry.text().value_or("");
    std::string note;
    if (entry.option->get_required()) {
      entry.is_required = true;
      entry.option->required(false);
      note = " (required)";
    }
    if (!entry.environment.empty()) note += " (or " + entry.environment + ")";
    entry.option->description(entry.option->get_description() + note);
  }
}

bool Configuration::settle() {
  for (Entry& entry : entries_) {
    if (entry.option->count() > 0) entry.origin = "command line";
  }
  take_environment();
  take_file();
  if (print_) {
    std::cout << toml();
    return true;
  }
  require_all();
  return false;
}

void Configuration::take_environment() {
  for (Entry& entry : entries_) {
    if (entry.environment.empty() || entry.option->count() > 0) continue;
    const char* value = std::getenv(entry.environment.c_str());
    if (value == nullptr) continue;
    set(*entry.option, {value},
        "environment variable " + entry.environment + ", for " + entry.option->get_name() + ": ");
    entry.origin = "environment " + entry.environment;
  }
}

void Configuration::take_file() {
  if (app_.get_option("--config")->count() == 0) return;
  std::vector<ConfigKey> keys;
  for (const Entry& entry : entries_) keys.push_back(entry.key);
  for (ConfigValue& value : read_config(std::filesystem::path(file_), keys)) {
    Entry& entry = entries_[value.key];
    if (entry.option->count() > 0) continue;
    const std::string line = printable(file_) + ":" + std::to_string(value.line);
    set(*entry.option, std::move(value.words),
        line + ":" + std::to_string(value.column) + ": " + entry.key.key + " in [" +
            entry.key.table + "]: ");
    entry.origin = line;
  }
}

void Configuration::require_all() const {
  for (const Entry& entry : entries_) {
    if (entry.is_required && entry.option->count() == 0) {
      throw CLI::RequiredError(entry.option->get_name());
    }
  }
}

std::vector<std::string> Configuration::tables() const {
  std::vector<std::string> tables;
  for (const Entry& entry : entries_) {
    if (std::ranges::find(tables, entry.key.table) == tables.end()) {
      tables.push_back(entry.key.table);
    }
  }
  return tables;
}

std::string Configuration::toml() const {
  const CLI::App* const parent = app_.get_parent();
  const std::string before = parent != nullptr ? parent->get_name() + " " : "";
  std::string out = "# " + before + app_.get_name() + " --print-config\n";
  for (const std::string& table : tables()) {
    out += "\n[" + table + "]\n";
    for (const Entry& entry : entries_) {
      if (entry.key.table != table) continue;
      const auto text = entry.text();
      const bool is_missing = entry.is_required && entry.option->count() == 0;
      if (!text || is_missing) {
        out += "# " + entry.key.key + (is_missing ? ": required, not given\n" : ": not given\n");
        continue;
      }
      if (!has_toml_text(entry.key, *text)) {
        throw InputError("--print-config: " + entry.option->get_name() + " is " + printable(*text) +
                         ", for which TOML has no text: it knows UTF-8 and integers below 2^63");
      }
      out += entry.key.key + " = " + *text + "  # " + entry.origin + "\n";
    }
  }
  return out;
}

std::string Configuration::json() const {
  std::string out;
  for (const std::string& table : tables()) {
    std::string members;
    for (const Entry& entry : entries_) {
      auto text = entry.text();
      if (entry.key.table != table || !text) continue;
      if (!has_toml_text(entry.key, *text)) replace_bytes_over_127(*text);
      members += (members.empty() ? "" : ",") + config_text(entry.key.key) + ":" + *text;
    }
    out += (out.empty() ? "" : ",") + config_text(table) + ":{" + members + "}";
  }
  return "{" + out + "}";
}

int run(Configuration& config, int argc, char** argv, const std::function<int()>& body) {
  config.prepare();
  return run(config.app_, argc, argv, [&] { return config.settle() ? 0 : body(); });
}

int run(CLI::App& app, std::span<Configuration* const> commands, int argc, char** argv,
        const std::function<int()>& body) {
  for (Configuration* command : commands) command->prepare();
  return run(app, argc, argv, [&] {
    for (Configuration* command : commands) {
      const CLI::App& of = command->app_;
      if (!of.parsed()) continue;
      if (of.get_subcommands().empty()) return command->settle() ? 0 : body();
      if (of.get_option("--config")->count() + of.get_option("--print-config")->count() == 0)
        continue;
      throw InputError("--config and --print-config stand behind the command: " + of.get_name() +
                       " " + of.get_subcommands().front()->get_name() + " --config FILE");
    }
    return body();
  });
}

}  // namespace aatgs::program
