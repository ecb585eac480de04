// SPDX-License-Identifier: Apache-2.0
// Reading a configuration file: TOML with known tables and keys.
#pragma once

#include <cstddef>
#include <filesystem>
#include <istream>
#include <span>
#include <string>
#include <vector>

namespace aatgs::program {

enum class ConfigKind { boolean, integer, number, text };

/// A key that a file may have.
struct ConfigKey {
  std::string table;
  std::string key;
  ConfigKind kind = ConfigKind::text;
  bool is_list = false;  ///< a list of such values, with one or more
  std::string example;   ///< a value that would be right, as TOML; may be empty
};

/// A value that a file has.
struct ConfigValue {
  std::size_t key = 0;             ///< its place among the keys
  std::vector<std::string> words;  ///< as a command line would say it; several only of a list
  std::size_t line = 0;            ///< from 1
  std::size_t column = 0;          ///< from 1
};

/// Reads a file of at most 64 KiB. Integers may stand where numbers are wanted, nothing else is
/// converted. Throws InputError "NAME:LINE:COLUMN: reason" for what is no TOML, for unknown tables
/// and keys (naming the nearest), and for values of another kind.
std::vector<ConfigValue> read_config(std::istream& in, const std::string& name,
                                     std::span<const ConfigKey> keys);

/// The same of a file by its path; InputError also where it cannot be opened.
std::vector<ConfigValue> read_config(const std::filesystem::path& path,
                                     std::span<const ConfigKey> keys);

}  // namespace aatgs::program
