// SPDX-License-Identifier: Apache-2.0
// A way around toml++ 3.3, in which most characters from U+0080 to U+FEFF outside of strings are
// undefined behavior (is_non_ascii_horizontal_whitespace). It does not look at those of plane 15,
// so they are put there for the time of parsing: U+00E9 becomes U+F00E9.
#pragma once

#include <string>
#include <string_view>

namespace aatgs::program {

namespace detail {

inline unsigned byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

/// The character of two or three bytes of UTF-8 at the beginning; 0 if there is none.
inline unsigned basic_character(std::string_view text) {
  const unsigned a = byte_at(text, 0), b = byte_at(text, 1), c = byte_at(text, 2);
  if ((b & 0xC0) != 0x80) return 0;
  if (a >= 0xC2 && a <= 0xDF) return (a & 0x1F) << 6 | (b & 0x3F);
  if ((a & 0xF0) != 0xE0 || (c & 0xC0) != 0x80) return 0;
  const unsigned character = (a & 0x0F) << 12 | (b & 0x3F) << 6 | (c & 0x3F);
  const bool is_surrogate = character >= 0xD800 && character <= 0xDFFF;
  return character >= 0x800 && !is_surrogate ? character : 0;
}

/// The one that `lift_characters` put at the beginning; 0 if there is none.
inline unsigned lifted_character(std::string_view text) {
  if (byte_at(text, 0) != 0xF3 || (byte_at(text, 1) & 0xF0) != 0xB0 || text.size() < 4) return 0;
  return (byte_at(text, 1) & 0x0F) << 12 | (byte_at(text, 2) & 0x3F) << 6 |
         (byte_at(text, 3) & 0x3F);
}

inline void append(std::string& out, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) out += static_cast<char>(byte);
}

}  // namespace detail

/// Whether the text itself names characters of plane 15, which are for private use.
inline bool has_plane_15(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (detail::byte_at(rest, 0) == 0xF3 && (detail::byte_at(rest, 1) & 0xF0) == 0xB0) return true;
    if (rest.starts_with("\\U000F") || rest.starts_with("\\U000f")) return true;
  }
  return false;
}

/// Puts the characters there. What is no UTF-8 stays, as does a byte order mark that begins it.
inline std::string lift_characters(std::string_view text) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  std::string out(text.starts_with(mark) ? mark : "");
  for (std::size_t i = out.size(); i < text.size();) {
    const unsigned c = detail::basic_character(text.substr(i));
    if (c == 0) {
      out += text[i++];
      continue;
    }
    detail::append(out, {0xF3, 0xB0 | c >> 12, 0x80 | (c >> 6 & 0x3F), 0x80 | (c & 0x3F)});
    i += c < 0x800 ? 2 : 3;
  }
  return out;
}

/// Takes them back.
inline std::string lower_characters(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const unsigned c = detail::lifted_character(text.substr(i));
    if (c == 0) {
      out += text[i++];
      continue;
    }
    if (c < 0x800) {
      detail::append(out, {0xC0 | c >> 6, 0x80 | (c & 0x3F)});
    } else {
      detail::append(out, {0xE0 | c >> 12, 0x80 | (c >> 6 & 0x3F), 0x80 | (c & 0x3F)});
    }
    i += 4;
  }
  return out;
}

}  // namespace aatgs::program
