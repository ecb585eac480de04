// SPDX-License-Identifier: Apache-2.0
#include "times.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "json_text.hpp"
#include "text_input.hpp"

namespace aatgs::monitor {
namespace {

constexpr std::int64_t second = 1'000'000'000;

/// Takes a text apart; what is not as asked for makes `good` false.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void need(char wanted) { good = take(wanted) && good; }

  /// A number of just so many digits.
  unsigned digits(std::size_t count) {
    unsigned value = 0;
    good = good && rest_.size() >= count;
    for (std::size_t i = 0; good && i < count; ++i) {
      const auto digit = static_cast<unsigned>(rest_[i] - '0');
      good = digit <= 9;
      value = 10 * value + digit;
    }
    if (!good) return 0;
    rest_.remove_prefix(count);
    return value;
  }

  /// Nanoseconds of what follows a decimal point.
  std::int64_t fraction() {
    std::int64_t value = 0;
    std::int64_t unit = second / 10;
    bool any = false;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value += (rest_.front() - '0') * unit;
      unit /= 10;
      rest_.remove_prefix(1);
      any = true;
    }
    good = good && any;
    return value;
  }

  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  bool good = true;

 private:
  std::string_view rest_;
};

/// Of the day, in nanoseconds.
std::int64_t parse_clock(Cursor& in) {
  const unsigned hours = in.digits(2);
  in.need(':');
  const unsigned minutes = in.digits(2);
  std::int64_t ns = (std::int64_t{hours} * 60 + minutes) * 60 * second;
  unsigned seconds = 0;
  if (in.take(':')) {
    seconds = in.digits(2);
    ns += seconds * second;
    if (in.take('.')) ns += in.fraction();
  }
  in.good = in.good && hours < 24 && minutes < 60 && seconds <= 60;  // a leap second
  return ns;
}

double unit_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, double>, 5> units{
      {{"d", 86400e9}, {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}, {"ms", 1e6}}};
  const auto* at = std::find_if(units.begin(), units.end(),
                                [&](const auto& unit) { return unit.first == name; });
  return at == units.end() ? 0 : at->second;
}

}  // namespace

std::optional<std::int64_t> parse_utc(std::string_view text) {
  using namespace std::chrono;
  Cursor in(text);
  const unsigned years = in.digits(4);
  in.need('-');
  const unsigned months = in.digits(2);
  in.need('-');
  const unsigned days_ = in.digits(2);
  std::int64_t clock = 0;
  if (in.take('T') || in.take(' ')) clock = parse_clock(in);
  in.take('Z');
  const year_month_day date{year(static_cast<int>(years)), month(months), day(days_)};
  if (!in.good || !in.at_end() || !date.ok() || years < 1970 || years > 2261) return std::nullopt;
  return nanoseconds(sys_days(date).time_since_epoch()).count() + clock;
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  double sum = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    double count = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), count, std::chars_format::fixed);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::size_t length = std::min(text.find_first_of("0123456789."), text.size());
    const double unit = unit_of(text.substr(0, length));
    if (unit == 0 || !(count >= 0)) return std::nullopt;
    text.remove_prefix(length);
    sum += count * unit;
  }
  if (sum > 9e18) return std::nullopt;
  return static_cast<std::int64_t>(sum);
}

std::int64_t parse_since(std::string_view text, std::int64_t now) {
  if (const auto time = parse_utc(text)) return *time;
  if (const auto duration = parse_duration(text)) return now - *duration;
  throw OptionError("--since '" + printable(text) +
                    "' is neither a time (2026-01-31T12:00, in UTC) nor a duration (10m, 1h30m)");
}

std::int64_t unix_now_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

std::string show_utc(std::int64_t unix_ns) {
  std::string text;
  append_utc(text, unix_ns);
  return text.substr(1, 19) + "Z";
}

std::string show_duration(std::int64_t ns) {
  std::array<char, 64> text{};
  const std::int64_t minutes = ns / (60 * second);
  if (minutes < 2) {
    std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(ns) * 1e-9);
  } else if (minutes < 120) {
    std::snprintf(text.data(), text.size(), "%d min %d s", static_cast<int>(minutes),
                  static_cast<int>(ns / second % 60));
  } else {
    std::snprintf(text.data(), text.size(), "%lld h %d min", static_cast<long long>(minutes / 60),
                  static_cast<int>(minutes % 60));
  }
  return text.data();
}

}  // namespace aatgs::monitor
