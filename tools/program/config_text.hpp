// SPDX-License-Identifier: Apache-2.0
// Values as text that is both TOML and JSON.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs::program {

inline std::string config_text(bool value) {
  return value ? "true" : "false";
}

std::string config_text(std::integral auto value) {
  return std::to_string(value);
}

/// The shortest text that is read as the same number. (JSON has no text for what is not finite.)
std::string config_text(std::floating_point auto value) {
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  const bool is_integer = text.find_first_not_of("-0123456789") == std::string::npos;
  return is_integer ? text + ".0" : text;
}

/// Quoted. Bytes that are not UTF-8 stay as they are, which neither format allows.
inline std::string config_text(std::string_view value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      text += "\\u00";
      text += digits[byte >> 4];
      text += digits[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}
inline std::string config_text(const std::string& value) {
  return config_text(std::string_view(value));
}

template <class T>
std::string config_text(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ", ") + config_text(value);
  return "[" + text + "]";
}

}  // namespace aatgs::program
