// SPDX-License-Identifier: Apache-2.0
// aatgs_stats: what contexts of running programs do, what those that crashed did last, and which
// ring sizes a program should have.
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/statistics_page.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "configuration.hpp"
#include "gpu_table.hpp"
#include "program.hpp"
#include "screen.hpp"
#include "tune_command.hpp"
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

int watch_on(Screen& screen, const Choices& choices, const std::string& directory,
             std::vector<PublishedContext> pages) {
  const std::chrono::milliseconds interval(choices.interval_ms);
  for (;;) {
    const std::string title = "aatgs_stats watch   " + std::to_string(pages.size()) +
                              (pages.size() == 1 ? " context" : " contexts") + " in " + directory;
    const std::string text = show_statistics(pages, Format::text, host_now_ns());
    if (!screen.show(title, text, interval)) return 0;
    pages = pages_of(choices, directory);
  }
}

int watch(const Choices& choices) {
  const Format format = parse_format(choices.format);
  const std::string directory = directory_of(choices);
  std::vector<PublishedContext> pages = pages_of(choices, directory);
  const bool goes_on = format == Format::text && !choices.once;
  if (const auto screen = goes_on ? Screen::open() : nullptr) {
    return watch_on(*screen, choices, directory, std::move(pages));
  }
  const bool in_place = goes_on && isatty(STDOUT_FILENO) == 1;
  for (;;) {
    constexpr const char* clear_screen = "\x1b[H\x1b[J";
    std::cout << (in_place ? clear_screen : "") << show_statistics(pages, format, host_now_ns());
    program::flush_output();
    if (choices.once) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(choices.interval_ms));
    pages = pages_of(choices, directory);
  }
}

void add_format(CLI::App& command, std::string& format) {
  command.add_option("--format", format, "text, json or csv")->type_name("FORMAT");
}

void add_common(CLI::App& command, Choices& choices) {
  add_format(command, choices.format);
  command
      .add_option("--directory", choices.directory,
                  "where the pages lie; otherwise as AATGS_STATS says, or /dev/shm")
      ->type_name("DIR");
}

void add_list(CLI::App& command, Choices& choices) {
  command.add_flag("--clean", choices.clean, "remove the pages of dead processes first");
  add_common(command, choices);
}

using program::Configuration;
using program::OptionNames;
using Table = Configuration::Table;

template <class Value>
CLI::Option* add_number(Table table, const OptionNames& names, Value& value, int least, int most,
                        const std::string& description) {
  return table.add(names, value, description)
      ->check(program::whole_number())
      ->check(CLI::Range(least, most))
      ->type_name("N");
}

void add_watch(CLI::App& command, Configuration& config, Choices& choices) {
  command.add_option("PID", choices.pid, "only of this process")->check(program::whole_number());
  command.add_flag("--once", choices.once, "once, then leave");
  Table table = config.table("watch");
  add_number(table, {"interval_ms", "--interval"}, choices.interval_ms, 10, 3'600'000,
             "milliseconds between two looks")
      ->type_name("MS");
  add_common(command, choices);
}

/// The others have no rings, so that there is nothing to tune.
ExecutorKind parse_load_executor(const std::string& text) {
  return program::parse_executor_of(
      {ExecutorKind::automatic, ExecutorKind::resident, ExecutorKind::cpu}, text);
}

/// The options of the built-in load.
std::vector<CLI::Option*> add_load(Configuration& config, TuneChoices& choices) {
  constexpr int most = 1'000'000;
  Load& load = choices.load;
  ContextOptions& options = choices.options;
  Table of_load = config.table("load");
  Table gpu = config.table("gpu");
  return {
      add_number(of_load, {"step_us", "--step-us"}, load.step_us, 0, most, "length of a step"),
      add_number(of_load, {"rate", "--rate"}, load.rate, 0, 1'000'000'000,
                 "configs/s at most; 0: as fast as it can"),
      add_number(of_load, {"burst", "--burst"}, load.burst, 1, most, "configs queued at once"),
      add_number(of_load, {"reader_us", "--reader-us"}, load.reader_us, 0, most,
                 "that the host is busy with a telemetry"),
      of_load.add({"large_telemetry", "--large-telemetry"}, load.large_telemetry,
                  "of 4 KiB instead of 64 bytes"),
      add_number(of_load, {"run_ms", "--run-ms"}, load.milliseconds, 1, 3'600'000,
                 "that it queues"),
      gpu.add_choice({"executor", "--executor"}, options.executor, parse_load_executor,
                     "automatic, resident or cpu")
          ->type_name("NAME"),
      add_number(gpu, {"device_id", "--device"}, options.device, 0, most, "CUDA ordinal"),
      add_number(gpu, {"cpu_threads", "--cpu-threads"}, options.cpu_threads, 0, 4096,
                 "of the cpu executor; 0: one for each hardware thread"),
  };
}

void add_single_run(CLI::App& command, Configuration& config, TuneChoices& choices) {
  constexpr int any = std::numeric_limits<int>::max();
  add_format(command, choices.format);
  add_load(config, choices);
  Table gpu = config.table("gpu");
  add_number(gpu, {"config_slots", "--config-slots"}, choices.options.config_slots, 0, any,
             "otherwise as AATGS_CONFIG_SLOTS says, or 1024")
      ->check(program::accepted_as(&ContextOptions::config_slots));
  add_number(gpu, {"telemetry_slots", "--telemetry-slots"}, choices.options.telemetry_slots, 0, any,
             "otherwise as AATGS_TELEMETRY_SLOTS says, or 1024")
      ->check(program::accepted_as(&ContextOptions::telemetry_slots));
}

/// Returns the options that a COMMAND leaves without a meaning.
std::vector<CLI::Option*> add_tuning(CLI::App& command, Configuration& config,
                                     TuneChoices& choices) {
  add_format(command, choices.format);
  std::vector<CLI::Option*> only_load = add_load(config, choices);
  Table table = config.table("tune");
  const auto add_policies = [&](const OptionNames& names, auto& policies, const auto& parse,
                                const char* description) {
    only_load.push_back(table.add(names, policies, description)
                            ->check(program::accepted_by(parse))
                            ->delimiter(',')
                            ->type_name("LIST"));
  };
  add_policies({"config_policies", "--config-policy"}, choices.config_policies, parse_config_policy,
               "of block, reject");
  add_policies({"telemetry_policies", "--telemetry-policy"}, choices.telemetry_policies,
               parse_telemetry_policy, "of block, drop_newest, overwrite_oldest");
  constexpr int any = std::numeric_limits<int>::max();
  const auto ring_size = program::accepted_by([](const std::string& text) {
    std::uint32_t slots = 0;
    CLI::detail::lexical_cast(text, slots);
    check_limits({slots, slots});
  });
  add_number(table, {"min_slots", "--min-slots"}, choices.limits.least, 0, any, "of either ring")
      ->check(ring_size);
  add_number(table, {"max_slots", "--max-slots"}, choices.limits.most, 0, any, "of either ring")
      ->check(ring_size);
  add_number(table, {"repeat", "--repeat"}, choices.repeat, 1, 1000,
             "runs of each setting, of which the fastest counts");
  add_number(table, {"timeout_s", "--timeout"}, choices.timeout_s, 1, 86'400,
             "for a run of COMMAND")
      ->type_name("SECONDS");
  command.footer(
      "Examples:\n"
      "  aatgs_stats tune -- ./solver input.txt\n"
      "  aatgs_stats tune --step-us 20 --burst 96 --rate 40000 --repeat 3\n"
      "  aatgs_stats sweep --min-slots 16 --max-slots 256 --format csv -- ./solver input.txt\n"
      "  aatgs_stats sweep --telemetry-policy block,overwrite_oldest --reader-us 20\n"
      "COMMAND gets its ring sizes as AATGS_CONFIG_SLOTS and AATGS_TELEMETRY_SLOTS and must not\n"
      "set them itself; its standard output is thrown away. Of the rings: mean/peak in use.\n"
      "A peak of 40 to 80 % is ideal; under 20 %: batch more, or shrink the ring; over 90 %, or\n"
      "any overflow: enlarge it.");
  return only_load;
}

void refuse_for_command(const std::vector<CLI::Option*>& only_load) {
  for (const CLI::Option* option : only_load) {
    if (option->count() == 0) continue;
    throw InputError(option->get_name() + " is for the built-in load, not for a COMMAND");
  }
}

/// What follows `--`, which is taken off the arguments.
std::vector<std::string> take_command(int& argc, char** argv) {
  char** const end = argv + argc;
  char** const dashes = std::find(argv, end, std::string_view("--"));
  argc = static_cast<int>(dashes - argv);
  return {dashes == end ? end : dashes + 1, end};
}

constexpr const char* overview =
    "Examples:\n"
    "  aatgs_stats list\n"
    "  aatgs_stats list --clean              # removes what crashed programs left\n"
    "  aatgs_stats watch                     # until Ctrl-C\n"
    "  aatgs_stats watch 4711 --once --format json\n"
    "  aatgs_stats tune -- ./solver input.txt\n"
    "  aatgs_stats tune --config load.toml   # --print-config shows what can be in it\n"
    "  aatgs_stats sweep --help              # for tuning\n"
    "Of each ring: how full now/mean/peak. OVERFLOW: configs without room + telemetry lost.\n"
    "P50, P99: from queueing a config to its telemetry. AGE: since the program last used it.\n"
    "Exit status: 0 shown; 1 a failure, also of COMMAND; 2 wrong options, a process without a\n"
    "context, or a COMMAND that cannot be run or tuned";

}  // namespace
}  // namespace aatgs

int main(int argc, char** argv) {
  using aatgs::program::Configuration;
  aatgs::Choices choices;
  aatgs::TuneChoices tuning;
  CLI::App app(
      "Shows what the contexts of running programs do, and what crashed ones did last; finds ring "
      "sizes",
      "aatgs_stats");
  app.footer(aatgs::overview);
  app.require_subcommand(1);
  CLI::App* list = app.add_subcommand("list", "one line for each context");
  CLI::App* watch = app.add_subcommand("watch", "what they do, again and again");
  CLI::App* tune = app.add_subcommand(
      "tune", "finds ring sizes for `-- COMMAND ...` or the built-in load, in some ten runs");
  CLI::App* sweep = app.add_subcommand("sweep", "the same, by all sizes");
  CLI::App* load = app.add_subcommand("load", "runs the built-in load once");
  Configuration of_watch(*watch);
  Configuration of_tune(*tune);
  Configuration of_sweep(*sweep);
  Configuration of_load(*load);
  aatgs::add_list(*list, choices);
  aatgs::add_watch(*watch, of_watch, choices);
  const auto only_load = aatgs::add_tuning(*tune, of_tune, tuning);
  const auto only_load_of_sweep = aatgs::add_tuning(*sweep, of_sweep, tuning);
  aatgs::add_single_run(*load, of_load, tuning);
  const bool has_command = std::find(argv, argv + argc, std::string_view("--")) != argv + argc;
  tuning.command = aatgs::take_command(argc, argv);
  Configuration* const commands[] = {&of_watch, &of_tune, &of_sweep, &of_load};
  return run(app, commands, argc, argv, [&] {
    const bool tunes = tune->parsed() || sweep->parsed();
    if (has_command && (!tunes || tuning.command.empty())) {
      throw aatgs::InputError("-- stands before a COMMAND of `tune` and `sweep`: " +
                              std::string(tunes ? "name one" : "leave it out"));
    }
    if (!tuning.command.empty()) {
      aatgs::refuse_for_command(tune->parsed() ? only_load : only_load_of_sweep);
    }
    if (tunes) return aatgs::tune_workload(tuning, sweep->parsed());
    if (load->parsed()) return aatgs::run_load_once(tuning);
    return list->parsed() ? aatgs::list(choices) : aatgs::watch(choices);
  });
}
