// SPDX-License-Identifier: Apache-2.0
// aatgs_stats: what contexts of running programs do, and what those that crashed did last.
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <chrono>
#include <iostream>
#include <optional>
#include <thread>

#include "program.hpp"
#include "view.hpp"

namespace aatgs {
namespace {

struct Choices {
  std::string directory;
  std::string format = "text";
  bool clean = false;
  std::optional<std::uint32_t> pid;
  bool once = false;
  std::uint32_t interval_ms = 1000;
};

std::string directory_of(const Choices& choices) {
  if (!choices.directory.empty()) return choices.directory;
  std::string directory = statistics_directory();
  if (directory.empty()) {
    throw InputError(
        "AATGS_STATS is 0, so nothing is published here: unset it, or name the directory of the "
        "pages with --directory");
  }
  return directory;
}

int list(const Choices& choices) {
  const Format format = parse_format(choices.format);
  const std::string directory = directory_of(choices);
  if (choices.clean) {
    const std::size_t count = remove_dead_statistics_pages(directory, std::chrono::seconds(0));
    std::cerr << "aatgs_stats: removed " << count << (count == 1 ? " page" : " pages")
              << " of dead processes\n";
  }
  std::cout << show_list(read_statistics_pages(directory), format);
  return 0;
}

std::vector<PublishedContext> pages_of(const Choices& choices, const std::string& directory) {
  std::vector<PublishedContext> pages = read_statistics_pages(directory);
  if (!choices.pid) return pages;
  std::erase_if(pages, [&](const auto& page) { return page.header.pid != *choices.pid; });
  if (pages.empty()) {
    throw InputError("process " + std::to_string(*choices.pid) + " has no context in '" +
                     directory +
                     "': it has ended, has not made one yet, or does not publish; `aatgs_stats "
                     "list` shows those that do");
  }
  return pages;
}

int watch(const Choices& choices) {
  const Format format = parse_format(choices.format);
  const std::string directory = directory_of(choices);
  const bool in_place = format == Format::text && !choices.once && isatty(STDOUT_FILENO) == 1;
  std::vector<PublishedContext> pages = pages_of(choices, directory);
  for (;;) {
    constexpr const char* clear_screen = "\x1b[H\x1b[J";
    std::cout << (in_place ? clear_screen : "") << show_statistics(pages, format, host_now_ns());
    program::flush_output();
    if (choices.once) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(choices.interval_ms));
    pages = pages_of(choices, directory);
  }
}

void add_common(CLI::App& command, Choices& choices) {
  command.add_option("--format", choices.format, "text, json or csv")->type_name("FORMAT");
  command
      .add_option("--directory", choices.directory,
                  "where the pages lie; otherwise as AATGS_STATS says, or /dev/shm")
      ->type_name("DIR");
}

}  // namespace
}  // namespace aatgs

int main(int argc, char** argv) {
  using aatgs::program::whole_number;
  aatgs::Choices choices;
  CLI::App app("Shows what the contexts of running programs do, and what crashed ones did last",
               "aatgs_stats");
  app.footer(
      "Examples:\n"
      "  aatgs_stats list\n"
      "  aatgs_stats list --clean              # removes what crashed programs left\n"
      "  aatgs_stats watch                     # until Ctrl-C\n"
      "  aatgs_stats watch 4711 --once --format json\n"
      "Of each ring: how full now/mean/peak. OVERFLOW: configs without room + telemetry lost.\n"
      "P50, P99: from queueing a config to its telemetry. AGE: since the program last used it.\n"
      "Exit status: 0 shown; 1 a failure; 2 wrong options, or a process without a context");
  app.require_subcommand(1);
  CLI::App* list = app.add_subcommand("list", "one line for each context");
  list->add_flag("--clean", choices.clean, "remove the pages of dead processes first");
  aatgs::add_common(*list, choices);
  CLI::App* watch = app.add_subcommand("watch", "what they do, again and again");
  watch->add_option("PID", choices.pid, "only of this process")->check(whole_number());
  watch->add_flag("--once", choices.once, "once, then leave");
  watch->add_option("--interval", choices.interval_ms, "milliseconds between two looks")
      ->check(whole_number())
      ->check(CLI::Range(10, 3'600'000))
      ->type_name("MS");
  aatgs::add_common(*watch, choices);
  return aatgs::program::run(app, argc, argv, [&] {
    return list->parsed() ? aatgs::list(choices) : aatgs::watch(choices);
  });
}
