// SPDX-License-Identifier: Apache-2.0
#include "json_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

namespace aatgs {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A recursive descent over one text; each function consumes what its name says or returns false.
class JsonCheck {
 public:
  explicit JsonCheck(std::string_view text) : rest_(text) {}

  bool whole() {
    if (!value(0)) return false;
    skip_space();
    return rest_.empty();
  }

 private:
  static constexpr int most_levels = 64;

  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  [[nodiscard]] char front() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  bool value(int level) {
    if (level > most_levels) return false;
    skip_space();
    switch (front()) {
      case '{':
        return list("{", "}", true, level);
      case '[':
        return list("[", "]", false, level);
      case '"':
        return string();
      case 't':
        return take("true");
      case 'f':
        return take("false");
      case 'n':
        return take("null");
      default:
        return number();
    }
  }

  bool list(std::string_view open, std::string_view close, bool keys, int level) {
    take(open);
    skip_space();
    if (take(close)) return true;
    do {
      if (keys && !key()) return false;
      if (!value(level + 1)) return false;
      skip_space();
    } while (take(","));
    return take(close);
  }

  bool key() {
    skip_space();
    if (!string()) return false;
    skip_space();
    return take(":");
  }

  bool string() {
    if (!take("\"")) return false;
    while (!take("\"")) {
      if (front() == '\\') {
        if (!escape()) return false;
        continue;
      }
      const std::size_t length = utf8_length(rest_);  // 0 at the end
      if (length == 0 || static_cast<unsigned char>(front()) < 0x20) return false;
      rest_.remove_prefix(length);
    }
    return true;
  }

  bool escape() {
    take("\\");
    if (take("u")) {
      const int unit = hex4();
      if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
      if (unit < 0xD800 || unit > 0xDBFF) return true;
      if (!take("\\u")) return false;
      const int low = hex4();
      return low >= 0xDC00 && low <= 0xDFFF;
    }
    if (rest_.empty() || std::string_view("\"\\/bfnrt").find(front()) == std::string_view::npos) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }

  int hex4() {
    if (rest_.size() < 4) return -1;
    int unit = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, unit, 16);
    if (error != std::errc() || end != rest_.data() + 4 || front() == '-') return -1;
    rest_.remove_prefix(4);
    return unit;
  }

  bool digits() {
    const std::size_t before = rest_.size();
    while (is_digit(front())) rest_.remove_prefix(1);
    return rest_.size() < before;
  }

  bool number() {
    const std::string_view start = rest_;
    take("-");
    if (!take("0") && !digits()) return false;
    if (take(".") && !digits()) return false;
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      if (!digits()) return false;
    }
    double parsed = 0;
    const char* end = start.data() + (start.size() - rest_.size());
    return std::from_chars(start.data(), end, parsed).ec == std::errc();
  }

  std::string_view rest_;
};

template <class T>
void append_chars(std::string& out, T value) {
  std::array<char, 32> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), end);
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20) {
    out += c;
    return;
  }
  constexpr std::string_view hex = "0123456789abcdef";
  out += "\\u00";
  out += hex[byte >> 4];
  out += hex[byte & 15];
}

void append_two(std::string& out, unsigned value, char behind) {
  out += static_cast<char>('0' + value / 10 % 10);
  out += static_cast<char>('0' + value % 10);
  out += behind;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xC2   ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what lies beyond U+10FFFF.
  const unsigned second = byte(1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : length;
}

bool is_json(std::string_view text) {
  return JsonCheck(text).whole();
}

void append_string(std::string& out, std::string_view text, bool cut) {
  out += '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 1) {
      append_escaped(out, text.front());
    } else if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += cut ? "...\"" : "\"";
}

void append_json(std::string& out, std::string_view text) {
  // A control character of a JSON text is a space between its tokens.
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
}

void append_number(std::string& out, std::uint64_t value) {
  append_chars(out, value);
}

void append_number(std::string& out, double value) {
  if (std::isfinite(value)) {
    append_chars(out, value);
  } else {
    out += "null";
  }
}

void append_utc(std::string& out, std::int64_t unix_ns) {
  using namespace std::chrono;
  const sys_time<nanoseconds> time{nanoseconds(unix_ns)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  out += '"';
  append_chars(out, static_cast<int>(date.year()));
  out += '-';
  append_two(out, static_cast<unsigned>(date.month()), '-');
  append_two(out, static_cast<unsigned>(date.day()), 'T');
  append_two(out, static_cast<unsigned>(clock.hours().count()), ':');
  append_two(out, static_cast<unsigned>(clock.minutes().count()), ':');
  append_two(out, static_cast<unsigned>(clock.seconds().count()), '.');
  std::string fraction;
  append_chars(fraction, clock.subseconds().count());
  out.append(9 - fraction.size(), '0');
  out += fraction;
  out += "Z\"";
}

}  // namespace aatgs
