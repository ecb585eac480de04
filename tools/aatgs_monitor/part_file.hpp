// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs::monitor {

/// The lines of one file that may still grow, in bounded memory. Not thread-safe.
class PartFile {
 public:
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 18;
  static constexpr std::size_t most_line_bytes = std::size_t{1} << 23;

  explicit PartFile(std::filesystem::path path) : path_(std::move(path)) {}
  ~PartFile() { close(); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  /// Goes to the next whole line, which lives until the next call; nothing at the present end of
  /// the file. Opens the file where it is not. Throws InputError where it cannot be opened or read,
  /// or where a line is longer than `most_line_bytes`.
  std::optional<std::string_view> next();

  /// What stands behind the last whole line.
  [[nodiscard]] std::string_view rest() const;

  /// What became of the file since it was last read.
  enum class Change : std::uint8_t {
    none,       ///< it is as it was, or has grown
    truncated,  ///< it is the same file with another beginning, or shorter
    replaced,   ///< its name belongs to another file
    gone,       ///< nothing has its name
  };
  [[nodiscard]] Change change();

  /// Begins again with the first line of what now has the name.
  void restart();

  /// Lets go of the file and of memory; `next` goes on where it stopped.
  void close();

  /// Whether `close` was the last that happened to it, and `change` found nothing since.
  [[nodiscard]] bool is_closed() const { return opened_ && descriptor_ < 0; }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }  ///< of the last line; from 1
  [[nodiscard]] bool is_regular() const { return regular_; }
  /// When it was last written to, in nanoseconds since 1970; 0 where that is not known.
  [[nodiscard]] std::int64_t written_unix_ns() const;

 private:
  void open();
  bool read_on();
  void note_head(std::string_view bytes);
  [[nodiscard]] bool has_same_head() const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  bool opened_ = false;  // since the last restart
  bool regular_ = true;
  struct stat seen_ {};       // the file when it was opened or closed
  std::uint64_t offset_ = 0;  // bytes read
  std::string head_;          // the first of them
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    // of what is not yet handed out
  std::size_t scanned_ = 0;  // holds no end of a line from `begin_` to here
  std::size_t end_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace aatgs::monitor
