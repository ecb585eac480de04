// SPDX-License-Identifier: Apache-2.0
#define NCURSES_NOMACROS
#include <ncurses.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <vector>

#include "end_signals.hpp"
#include "screen.hpp"

namespace aatgs {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class TerminalScreen final : public Screen {
 public:
  /// `terminal`: of newterm.
  explicit TerminalScreen(SCREEN* terminal) : terminal_(terminal) {
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
  }
  ~TerminalScreen() override {
    endwin();
    delscreen(terminal_);
  }

  bool show(const std::string& title, const std::string& text, milliseconds until_next) override {
    title_ = title;
    std::replace_if(
        title_.begin(), title_.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    std::replace_if(
        title_.begin(), title_.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    lines_ = lines_of(text);
    const auto end = Clock::now() + until_next;
    draw();
    for (auto now = Clock::now(); now < end; now = Clock::now()) {
      if (signals_.came_within(milliseconds(0))) return false;
      const auto left = std::chrono::ceil<milliseconds>(end - now);
      if (!wait(std::min(left, longest_wait)) || !take_keys()) return false;
    }
    return true;
  }

 private:
  static constexpr milliseconds longest_wait{50};  // for a signal to be seen soon

  /// Until a key, or for so long. False: the terminal is gone.
  static bool wait(milliseconds time) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&input, 1, static_cast<int>(time.count()));
    return ready <= 0 || (input.revents & POLLIN) != 0;
  }

  /// False: the user leaves.
  bool take_keys() {
    for (int key = getch(); key != ERR; key = getch()) {
      if (key == 'q') return false;
      const int page = std::max(1, LINES - 3);
      if (key == KEY_DOWN || key == 'j') first_ += 1;
      if (key == KEY_UP || key == 'k') first_ -= 1;
      if (key == KEY_NPAGE || key == ' ') first_ += page;
      if (key == KEY_PPAGE) first_ -= page;
      if (key == KEY_HOME) first_ = 0;
      draw();  // also where the window has another size now
    }
    return true;
  }

  void draw() {
    erase();
    const int most = static_cast<int>(lines_.size()) - 1;
    first_ = std::max(0, std::min(first_, most - (LINES - 2)));
    mvaddnstr(0, 0, (title_ + "   q: leave, arrows: scroll").c_str(), COLS);
    if (!lines_.empty()) {
      attron(A_REVERSE);
      std::string heading = lines_.front();
      heading.resize(std::max(heading.size(), static_cast<std::size_t>(std::max(COLS, 0))), ' ');
      mvaddnstr(1, 0, heading.c_str(), COLS);
      attroff(A_REVERSE);
    }
    for (int row = 2; row < LINES && first_ + row - 1 <= most; ++row) {
      mvaddnstr(row, 0, lines_[static_cast<std::size_t>(first_ + row - 1)].c_str(), COLS);
    }
    refresh();
  }

  program::EndSignals signals_;  // first: ncurses leaves blocked signals to us
  SCREEN* terminal_;
  std::string title_;
  std::vector<std::string> lines_;
  int first_ = 0;  ///< line below the heading that is shown first
};

}  // namespace

std::unique_ptr<Screen> Screen::open() {
  if (::isatty(STDOUT_FILENO) != 1 || ::isatty(STDIN_FILENO) != 1) return nullptr;
  SCREEN* const terminal = newterm(nullptr, stdout, stdin);
  if (terminal == nullptr) return nullptr;  // one that ncurses does not know
  return std::make_unique<TerminalScreen>(terminal);
}

}  // namespace aatgs
