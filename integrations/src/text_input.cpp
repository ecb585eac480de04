// SPDX-License-Identifier: Apache-2.0
#include "text_input.hpp"

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace aatgs {

std::string printable(std::string_view text, std::size_t most) {
  std::string out(text.substr(0, most));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.size() > most ? out + "..." : out;
}

void throw_at(std::string_view name, std::size_t line, const std::string& reason) {
  throw InputError(printable(name) + ":" + std::to_string(line) + ": " + reason);
}

std::ifstream open_input(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw_at(path.string(), 0, "is a directory, not a file");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw_at(path.string(), 0, "cannot open: " + std::generic_category().message(errno));
  return in;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool LineReader::next() {
  if (in_.eof()) return false;
  if (in_.fail()) {
    throw_at(name_, 0, "cannot read: the stream had failed before, was the file opened?");
  }
  in_.getline(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  const auto taken = static_cast<std::size_t>(in_.gcount());
  if (in_.bad()) throw_at(name_, number_ + 1, "cannot read on: input/output error");
  if (in_.eof() && taken == 0) return false;
  ++number_;
  if (in_.fail()) fail("line is longer than " + std::to_string(max_line_bytes) + " bytes");
  unterminated_ = in_.eof();
  line_ = {buffer_.data(), unterminated_ ? taken : taken - 1};
  if (line_.find('\0') != std::string_view::npos) fail("NUL byte: this is not a text file");
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  return true;
}

std::vector<std::string_view>& LineReader::words() {
  constexpr std::string_view blanks = " \t";
  words_.clear();
  std::size_t begin = line_.find_first_not_of(blanks);
  while (begin != std::string_view::npos) {
    const std::size_t end = std::min(line_.find_first_of(blanks, begin), line_.size());
    words_.push_back(line_.substr(begin, end - begin));
    begin = line_.find_first_not_of(blanks, end);
  }
  return words_;
}

}  // namespace aatgs
