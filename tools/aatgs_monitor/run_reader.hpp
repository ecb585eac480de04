// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "line_parser.hpp"
#include "part_file.hpp"

namespace aatgs::monitor {

/// Which run a file belongs to, from the manifest that is its first line.
struct FileFacts {
  std::string run_id;
  std::uint64_t part = 0;
  std::int64_t start_unix_ns = 0;
};

/// Nothing where the file does not begin with a whole manifest. Throws InputError where it cannot
/// be read.
[[nodiscard]] std::optional<FileFacts> peek(const std::filesystem::path& file, LineParser& parser);

/// The file of a part of the run whose first file is `base`: run.jsonl, run.1.jsonl, ...
[[nodiscard]] std::filesystem::path part_path(const std::filesystem::path& base,
                                              std::uint64_t part);

/// The inverse.
[[nodiscard]] std::filesystem::path base_path(const std::filesystem::path& file,
                                              std::uint64_t part);

using Take = std::function<void(const Line&)>;        ///< gets each line
using Say = std::function<void(const std::string&)>;  ///< gets remarks for the user, one line each

/// The lines of one run from a file on through its later parts, as far as they are written, and on
/// when they grow. Not thread-safe.
class RunReader {
 public:
  /// `parser` must outlive it.
  RunReader(std::filesystem::path first, LineParser& parser, Say say);

  /// Hands over every whole line that is new. Begins again where the file was truncated or
  /// replaced. Throws InputError, with file and line number where a line is malformed.
  void read(const Take& take);

  /// For when no more is waited for: a last line without its end is handed over if it is whole,
  /// else it is torn, which is said. Throws InputError where there is no line at all.
  void finish(const Take& take);

  /// Lets go of files; `read` opens them again.
  void close() { part_->close(); }

  [[nodiscard]] bool is_empty() const { return lines_ == 0; }
  [[nodiscard]] bool ended() const { return ended_; }  ///< its last line is a summary
  [[nodiscard]] bool is_gone_for(std::chrono::milliseconds time) const;
  [[nodiscard]] const std::filesystem::path& path() const { return first_; }

  /// When there was a new record last, in nanoseconds since 1970.
  [[nodiscard]] std::int64_t last_news_unix_ns() const;
  /// Such as "whcr, step 7, sequence 42"; empty before the first record.
  [[nodiscard]] std::string last_record() const;

 private:
  bool read_some(const Take& take);
  bool take_lines(const Take& take);
  void hand_over(std::string_view text, std::uint64_t number, const Take& take);
  void note(const Line& line);
  void begin_again(const std::filesystem::path& file, const std::string& reason);
  void say_torn(const std::string& why);
  [[nodiscard]] std::filesystem::path next_part() const;
  [[nodiscard]] bool has_next_part();
  [[nodiscard]] bool is_another_run(const std::filesystem::path& file);

  std::filesystem::path first_;
  LineParser& parser_;
  Say say_;
  std::unique_ptr<PartFile> part_;
  std::string file_name_;  // of the part

  std::string run_id_;
  std::uint64_t part_number_ = 0;
  std::uint64_t lines_ = 0;
  std::uint64_t unknown_ = 0;
  bool ended_ = false;

  struct Last {
    std::string phase;
    std::uint64_t step = 0;
    std::uint64_t sequence = 0;
    std::int64_t unix_ns = 0;
  } last_;
  std::uint64_t looks_ = 0;
  std::int64_t heard_unix_ns_ = 0;  // 0: nothing new since the first look
  std::optional<std::chrono::steady_clock::time_point> gone_since_;
};

}  // namespace aatgs::monitor
