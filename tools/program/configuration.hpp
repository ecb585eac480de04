// SPDX-License-Identifier: Apache-2.0
// Options that also come from a TOML file and from the environment.
#pragma once

#include <CLI/CLI.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "config_file.hpp"
#include "config_text.hpp"

namespace aatgs::program {

/// What an option is called.
struct OptionNames {
  std::string key;               ///< in its table of the file, such as "config_slots"
  std::string flag;              ///< on the command line, such as "--config-slots"
  std::string environment = {};  ///< a variable that also sets it, unless empty; or empty: none
};

/// Gives a program `--config FILE` and `--print-config`. The command line goes before the
/// environment, that before the file, and that before the default. A program declares such an
/// option here instead of with `app.add_option`; a new table is one call:
///
///     Configuration config(app);
///     config.table("hypertune")
///         .add({"window", "--window"}, options.window, "iterations looked at")->check(whole);
///     return run(config, argc, argv, [&] { return body(options); });
///
/// Keys of a table are best declared in one function that takes the Configuration. Declare no key
/// that does nothing in the program. Not thread-safe.
class Configuration {
 public:
  class Table;

  /// `app` must outlive it.
  explicit Configuration(CLI::App& app);
  Configuration(const Configuration&) = delete;
  Configuration& operator=(const Configuration&) = delete;

  /// The table of this name, begun or continued.
  Table table(std::string name);

  /// Takes what the command line left open from the environment and the file, in this order.
  /// Call it when `app` has been parsed. True: --print-config was given, and has been obeyed.
  /// Throws InputError, CLI::RequiredError.
  bool settle();

  /// All options as TOML, with the origin of each as a comment. Read as a file it gives the same.
  /// Throws InputError for what TOML has no text for: bytes that are not UTF-8, 2^63 and more.
  [[nodiscard]] std::string toml() const;
  /// All options that have a value as one JSON object of objects, on one line; bytes that are not
  /// UTF-8 as '?'. Numbers must be finite.
  [[nodiscard]] std::string json() const;

 private:
  friend int run(Configuration& config, int argc, char** argv, const std::function<int()>& body);
  friend int run(CLI::App& app, std::span<Configuration* const> commands, int argc, char** argv,
                 const std::function<int()>& body);

  struct Entry {
    ConfigKey key;
    CLI::Option* option;
    std::string environment;
    std::function<std::optional<std::string>()> text;  ///< its present value, as TOML and JSON
    bool is_required = false;
    std::string origin = "default";
  };

  /// Required options may come from elsewhere than the command line, which CLI11 must not know.
  void prepare();
  void take_environment();
  void take_file();
  void require_all() const;
  [[nodiscard]] std::vector<std::string> tables() const;

  CLI::App& app_;
  std::string file_;
  bool print_ = false;
  std::deque<Entry> entries_;
};

/// Where a program declares the keys of one table.
class Configuration::Table {
 public:
  Table(Configuration& config, std::string name) : config_(config), name_(std::move(name)) {}

  /// An option, or a flag if `variable` is a bool. The variable holds the default and later the
  /// value, and must outlive the Configuration. An std::optional without a value is "not given".
  template <class T>
  CLI::Option* add(const OptionNames& names, T& variable, const std::string& description);

  /// An option whose variable is read from text with `parse`, which throws OptionError, and shown
  /// with `to_string`, such as an enumerator.
  template <class T, class Parse>
  CLI::Option* add_choice(const OptionNames& names, T& variable, Parse parse,
                          const std::string& description);

  /// An option of a kind of its own: `read` takes its text and throws OptionError, `text` gives its
  /// present value as TOML.
  CLI::Option* add_read(const OptionNames& names, ConfigKind kind,
                        const std::function<void(const std::string&)>& read,
                        std::function<std::optional<std::string>()> text,
                        const std::string& description);

 private:
  CLI::Option* declare(const OptionNames& names, CLI::Option* option, ConfigKind kind, bool is_list,
                       std::function<std::optional<std::string>()> text);

  Configuration& config_;
  std::string name_;
};

/// As `run` of program.hpp.
int run(Configuration& config, int argc, char** argv, const std::function<int()>& body);

/// The same for a program with subcommands, of which some, or `app` itself where none is given,
/// take a file each.
int run(CLI::App& app, std::span<Configuration* const> commands, int argc, char** argv,
        const std::function<int()>& body);

namespace detail {

template <class T>
struct Shape {
  static constexpr bool is_list = false;
  static constexpr ConfigKind kind = std::is_same_v<T, bool>       ? ConfigKind::boolean
                                     : std::is_integral_v<T>       ? ConfigKind::integer
                                     : std::is_floating_point_v<T> ? ConfigKind::number
                                                                   : ConfigKind::text;
  static std::optional<std::string> text(const T& value) { return config_text(value); }
};
template <class T>
struct Shape<std::vector<T>> : Shape<T> {
  static constexpr bool is_list = true;
  static std::optional<std::string> text(const std::vector<T>& value) {
    return value.empty() ? std::nullopt : std::optional(config_text(value));
  }
};
template <class T>
struct Shape<std::optional<T>> : Shape<T> {
  static std::optional<std::string> text(const std::optional<T>& value) {
    return value ? Shape<T>::text(*value) : std::nullopt;
  }
};

}  // namespace detail

template <class T>
CLI::Option* Configuration::Table::add(const OptionNames& names, T& variable,
                                       const std::string& description) {
  using Shape = detail::Shape<T>;
  CLI::Option* option;
  if constexpr (std::is_same_v<T, bool>) {
    option = config_.app_.add_flag(names.flag, variable, description);
  } else {
    option = config_.app_.add_option(names.flag, variable, description);
  }
  return declare(names, option, Shape::kind, Shape::is_list,
                 [&variable] { return Shape::text(variable); });
}

template <class T, class Parse>
CLI::Option* Configuration::Table::add_choice(const OptionNames& names, T& variable, Parse parse,
                                              const std::string& description) {
  return add_read(
      names, ConfigKind::text,
      [&variable, parse](const std::string& text) { variable = parse(text); },
      [&variable] { return std::optional(config_text(to_string(variable))); }, description);
}

}  // namespace aatgs::program
