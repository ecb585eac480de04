// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace aatgs {

/// Bytes of the UTF-8 character at the front of `text`; 0 where there is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

/// Whether `text` is one JSON value (RFC 8259) that every reader takes: numbers within a double's
/// range, surrogates in pairs, at most 64 levels deep.
[[nodiscard]] bool is_json(std::string_view text);

/// Appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
void append_string(std::string& out, std::string_view text, bool cut = false);

/// Appends a value that `is_json` on one line.
void append_json(std::string& out, std::string_view text);

void append_number(std::string& out, std::uint64_t value);

/// null unless finite.
void append_number(std::string& out, double value);

/// Such as "2026-01-31T12:00:00.123456789Z", with the quotes.
void append_utc(std::string& out, std::int64_t unix_ns);

}  // namespace aatgs
