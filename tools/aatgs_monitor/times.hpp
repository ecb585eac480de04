// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aatgs::monitor {

/// Nanoseconds since 1970 of a time in UTC: "2026-01-31", "2026-01-31T12:00" and with seconds, also
/// with fractions of them and a "Z". Nothing where the text is no such time from 1970 to 2261.
[[nodiscard]] std::optional<std::int64_t> parse_utc(std::string_view text);

/// Nanoseconds of a duration: "10m", "1h30m", "0.5s"; units are d, h, m, s and ms.
[[nodiscard]] std::optional<std::int64_t> parse_duration(std::string_view text);

/// A time, or how long before `now`. Throws OptionError for `option` where it is neither.
[[nodiscard]] std::int64_t parse_since(std::string_view text, std::int64_t now);

[[nodiscard]] std::int64_t unix_now_ns();

/// Such as "2026-01-31T12:00:00Z".
[[nodiscard]] std::string show_utc(std::int64_t unix_ns);

/// Such as "12.3 s" or "1 h 5 min".
[[nodiscard]] std::string show_duration(std::int64_t ns);

}  // namespace aatgs::monitor
