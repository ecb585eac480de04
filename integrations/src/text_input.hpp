// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

/// `text` fit for a one-line message: what is not printable ASCII becomes '?', what is longer than
/// `most` is cut.
std::string printable(std::string_view text, std::size_t most = 200);

/// Throws InputError "NAME:LINE: REASON"; line 0 means the file as a whole.
[[noreturn]] void throw_at(std::string_view name, std::size_t line, const std::string& reason);

/// Opens a file for reading; InputError where it is missing, a directory, or not readable.
std::ifstream open_input(const std::filesystem::path& path);

/// A whole decimal number without sign that fits 64 bits, or nothing.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// The lines of a text stream, with the checks that every line-based format shares. Memory is
/// bounded: an endless or binary stream is refused at its first long line or NUL byte.
class LineReader {
 public:
  static constexpr std::size_t max_line_bytes = 65535;

  /// `in` must outlive the reader; `name` is what messages call it.
  LineReader(std::istream& in, std::string name)
      : in_(in), name_(std::move(name)), buffer_(max_line_bytes + 1) {}

  /// Goes to the next line; false at the end of the stream.
  bool next();

  /// The present line without its end (LF or CRLF); valid until `next`.
  [[nodiscard]] std::string_view line() const noexcept { return line_; }

  /// The blank-separated words of the present line.
  [[nodiscard]] std::vector<std::string_view>& words();

  /// 1-based number of the present line.
  [[nodiscard]] std::size_t number() const noexcept { return number_; }

  /// Whether the present line is the last and has no line end: the mark of a cut file.
  [[nodiscard]] bool unterminated() const noexcept { return unterminated_; }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Throws InputError about the present line.
  [[noreturn]] void fail(const std::string& reason) const { throw_at(name_, number_, reason); }

 private:
  std::istream& in_;
  std::string name_;
  std::vector<char> buffer_;
  std::string_view line_;
  std::vector<std::string_view> words_;
  std::size_t number_ = 0;
  bool unterminated_ = false;
};

}  // namespace aatgs
