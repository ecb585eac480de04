// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace aatgs {

/// Whole lines in a file and its later parts. Not thread-safe.
class TelemetryFile {
 public:
  /// Throws InputError if `path` cannot be opened, or is there already and `replace` is false. A
  /// file that is not a regular one (a pipe) is written as it is and has one part.
  TelemetryFile(std::filesystem::path path, bool replace);
  ~TelemetryFile();
  TelemetryFile(const TelemetryFile&) = delete;
  TelemetryFile& operator=(const TelemetryFile&) = delete;

  /// Appends lines; returns the bytes that are there, which end with a line. Fewer than given: the
  /// system refused the rest, see `error()`.
  std::size_t append(std::string_view lines);

  /// Waits for the disk and goes on in the next part; stays in this one if that fails.
  bool next_part();

  /// Waits for the disk and closes the file.
  bool close();
  /// Removes the first part, in which nothing is yet.
  void discard();

  [[nodiscard]] std::uint64_t size() const { return size_; }  ///< of this part, in bytes
  [[nodiscard]] std::uint64_t part() const { return part_; }
  [[nodiscard]] bool is_regular() const { return regular_; }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  [[nodiscard]] std::filesystem::path path_of(std::uint64_t part) const;
  void refuse_or_remove_old_parts() const;
  [[nodiscard]] bool take_back(std::size_t bytes) const;
  bool sync();
  bool fail(std::string_view tried, int code);

  std::filesystem::path path_;
  bool replace_;
  bool regular_ = true;
  bool torn_ = false;  // ends in a piece of a line that could not be taken back
  int descriptor_ = -1;
  std::uint64_t part_ = 0;
  std::uint64_t size_ = 0;
  std::string error_;
};

}  // namespace aatgs
