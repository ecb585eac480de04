// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/errors.hpp>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "run_reader.hpp"

namespace aatgs::monitor {

/// What a user named: the file of a run, or a directory, whose runs are all *.jsonl files that
/// begin with a manifest, each with its later parts. Not thread-safe.
class RunSource {
 public:
  /// A file that was followed and is not there for so long is gone.
  static constexpr std::chrono::milliseconds gone_after{1000};

  /// Throws InputError where there is nothing of that name.
  RunSource(std::filesystem::path path, Say say);

  /// Hands over all that is new. With `last` no more is waited for, so a last line without its end
  /// is decided about, and it is an error if there is no run. Throws InputError.
  void look(const Take& take, bool last);

  /// Whether no more can come: the run has a summary, or comes through a pipe. Never of a
  /// directory.
  [[nodiscard]] bool ended() const;

  [[nodiscard]] bool is_pipe() const { return is_pipe_; }

  /// Says it where no unfinished run has had a new record for so long (and there is one).
  [[nodiscard]] std::optional<std::string> stalled(std::chrono::nanoseconds after) const;

  /// Of a directory, only the run that began last. Throws InputError where there is none.
  void keep_newest();

 private:
  [[nodiscard]] InputError no_run() const;
  void find_runs();
  void drop_gone_runs();

  std::filesystem::path path_;
  Say say_;
  LineParser parser_;
  bool is_directory_;
  bool is_pipe_;
  bool frozen_ = false;  // no more runs are wanted
  bool said_empty_ = false;
  std::int64_t begun_unix_ns_;

  struct Run {
    std::int64_t start_unix_ns = 0;
    std::unique_ptr<RunReader> reader;
  };
  std::map<std::filesystem::path, Run> runs_;  // by the file of part 0
  std::set<std::filesystem::path> others_;     // files that cannot be read
};

}  // namespace aatgs::monitor
