// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace aatgs {

/// A terminal that is drawn over and over, until the user has seen enough. The terminal is as it
/// was when this object is gone. One at a time.
class Screen {
 public:
  /// Null where there is no terminal to draw on or to type at, or without ncurses in this build.
  static std::unique_ptr<Screen> open();
  virtual ~Screen() = default;

  /// Shows lines of printable ASCII: the title, the first line as a heading, and as much of the
  /// rest as fits and the user has scrolled to. False: the user leaves, by `q` or a signal; else it
  /// returns when it is time for the next.
  virtual bool show(const std::string& title, const std::string& text,
                    std::chrono::milliseconds until_next) = 0;
};

}  // namespace aatgs
