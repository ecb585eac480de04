// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stdexcept>
#include <string_view>

#include "line.hpp"

namespace aatgs::monitor {

/// A line that no run file can have. `what()` is the reason, without file and line number.
class LineError : public std::runtime_error {
 public:
  LineError(const std::string& reason, bool json) : std::runtime_error(reason), is_json(json) {}

  bool is_json;  ///< false: it may be the beginning of a good line
};

/// Parses the lines of run files. Not thread-safe.
class LineParser {
 public:
  LineParser();
  ~LineParser();
  LineParser(const LineParser&) = delete;
  LineParser& operator=(const LineParser&) = delete;

  /// `text` without the end of the line. The result lives until the next call, `text` being alive.
  /// Throws LineError.
  [[nodiscard]] Line& parse(std::string_view text);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace aatgs::monitor
