// SPDX-License-Identifier: Apache-2.0
// aatgs_monitor: what runs of solvers tell in their telemetry, live or afterwards.
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>
#include <thread>

#include "configuration.hpp"
#include "end_signals.hpp"
#include "feed.hpp"
#include "filter.hpp"
#include "live_views.hpp"
#include "phase_names.hpp"
#include "phase_trace.hpp"
#include "plot.hpp"
#include "program.hpp"
#include "run_reader.hpp"
#include "run_source.hpp"
#include "serve.hpp"
#include "text_input.hpp"
#include "times.hpp"

namespace aatgs::monitor {
namespace {

using program::EndSignals;

constexpr int stalled_status = 3;

struct Choices {
  std::string path;
  bool tail = false;
  bool summary = false;
  bool once = false;
  std::vector<std::string> phases;
  std::optional<std::string> since;
  std::optional<std::string> where;
  std::string format = "text";
  std::uint32_t interval_ms = 500;
  std::optional<std::string> stall_after;
  std::optional<std::uint16_t> port;
  std::string output;
};

void say(const std::string& remark) {
  std::cerr << "aatgs_monitor: " << remark << "\n";
}

Filter filter_of(const Choices& choices) {
  Filter filter;
  filter.phases = choices.phases;
  if (choices.since) filter.since_unix_ns = parse_since(*choices.since, unix_now_ns());
  if (choices.where) filter.where = Where::parse(*choices.where);
  return filter;
}

RunSource source_of(const Choices& choices) {
  if (choices.path.empty()) {
    throw OptionError("FILE is missing: name the file of a run, or a directory with some");
  }
  return {choices.path, say};
}

std::chrono::nanoseconds parse_stall_after(const std::string& text) {
  auto ns = parse_duration(text + "s");
  if (!ns) ns = parse_duration(text);
  if (ns && *ns > 0) return std::chrono::nanoseconds(*ns);
  throw OptionError("--stall-after '" + printable(text) +
                    "' is no time above 0: give seconds, or such as 10m");
}

/// Nothing where a stall is not looked for.
std::optional<std::chrono::nanoseconds> stall_after(const Choices& choices) {
  if (!choices.stall_after) return std::nullopt;
  return parse_stall_after(*choices.stall_after);
}

void print(const std::string& text) {
  errno = 0;
  std::cout << text << std::flush;
  if (std::cout) return;
  throw InputError("cannot write to the standard output: " +
                   std::generic_category().message(errno));
}

/// Without NO_COLOR, on a terminal alone.
bool wants_color() {
  const char* const no_color = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

std::unique_ptr<View> view_of(const Choices& choices) {
  const Format format = parse_format(choices.format);
  if (!choices.summary) {
    return std::make_unique<RecordView>(filter_of(choices), format, wants_color(), print);
  }
  const bool in_place =
      choices.tail && !choices.once && format == Format::text && ::isatty(STDOUT_FILENO) == 1;
  return std::make_unique<SummaryView>(filter_of(choices), format, in_place, print);
}

/// One look; whether there was anything new. What came before a malformed line is shown.
bool look(RunSource& source, View& view, PhaseNames& phases, bool last, bool at_once) {
  bool news = false;
  const auto take = [&](const Line& line) {
    news = true;
    if (line.type == Line::Type::metric) phases.add(line.record.phase);
    view.take(line);
    if (at_once) view.show(false);
  };
  try {
    source.look(take, last);
    // What stands behind a summary is no more waited for.
    if (!last && source.ended()) source.look(take, true);
  } catch (const InputError&) {
    view.show(false);
    throw;
  }
  return news;
}

int watch(const Choices& choices) {
  const auto stall = stall_after(choices);
  const auto view = view_of(choices);
  RunSource source = source_of(choices);
  PhaseNames phases;
  const bool last = choices.once || !choices.tail;
  for (;;) {
    const bool news = look(source, *view, phases, last, source.is_pipe() && !choices.summary);
    view->show(news);
    if (const auto message = stall ? source.stalled(*stall) : std::nullopt) {
      say(*message);
      return stalled_status;
    }
    if (last || source.ended()) {
      if (const std::string missing = phases.missing(choices.phases); !missing.empty())
        say(missing);
      return 0;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(choices.interval_ms));
  }
}

/// Reads for the feed until a signal ends it or, as with --tail, the run does not go on: then the
/// clients are told why.
int feed_until_end(Feed& feed, RunSource& source, const Choices& choices, EndSignals& signals) {
  struct Ended {};
  constexpr std::uint64_t looked_up_after = 1 << 14;
  const auto stall = stall_after(choices);
  std::uint64_t lines = 0;
  const auto take = [&](const Line& line) {
    feed.take(line);
    if (++lines % looked_up_after != 0) return;
    feed.publish();
    if (signals.came_within(std::chrono::milliseconds(0))) throw Ended{};
  };
  try {
    do {
      source.look(take, false);
      feed.publish();
      if (const auto message = stall ? source.stalled(*stall) : std::nullopt) {
        feed.publish(*message);
        say(*message);
        return stalled_status;
      }
    } while (!signals.came_within(std::chrono::milliseconds(choices.interval_ms)));
  } catch (const Ended&) {
  } catch (const InputError& e) {
    feed.publish(e.what());
    throw;
  }
  return 0;
}

int serve(const Choices& choices) {
  EndSignals signals;
  RunSource source = source_of(choices);
  if (source.is_pipe()) {
    throw OptionError("--serve: '" + printable(choices.path) +
                      "' is a pipe: name the file of a run, or a directory with some");
  }
  Feed feed(filter_of(choices), choices.path);
  const PageServer server(feed, *choices.port);
  print("serving http://127.0.0.1:" + std::to_string(server.port()) +
        "/ until SIGINT or SIGTERM\n");
  return feed_until_end(feed, source, choices, signals);
}

int export_csv(Choices choices) {
  choices.format = "csv";
  return watch(choices);
}

/// That it can be written, and that no run's telemetry is lost by that: neither the input's nor one
/// of its parts', nor another run's.
void require_output(const Choices& choices) {
  program::require_distinct({{"FILE", choices.path}, {"--output", choices.output}});
  program::require_writable(choices.output);
  std::error_code ignored;
  LineParser parser;
  const bool is_run = std::filesystem::is_regular_file(choices.output, ignored) &&
                      peek(choices.output, parser).has_value();
  if (!is_run) return;
  throw InputError("--output '" + printable(choices.output) +
                   "' is the telemetry of a run, which would be lost: name another file");
}

void put_out(const Choices& choices, const std::string& text) {
  choices.output.empty() ? print(text) : program::write_file(choices.output, text);
}

int export_prometheus(const Choices& choices) {
  require_output(choices);
  const Filter filter = filter_of(choices);
  Summary summary;
  source_of(choices).look(
      [&](const Line& line) {
        if (line.type != Line::Type::metric || filter.passes(line.record)) summary.add(line);
      },
      true);
  put_out(choices, prometheus_text(summary));
  return 0;
}

int export_chrome(const Choices& choices) {
  require_output(choices);
  const Filter filter = filter_of(choices);
  PhaseTrace trace;
  source_of(choices).look(
      [&](const Line& line) {
        if (line.type == Line::Type::metric && filter.passes(line.record)) trace.add(line.record);
      },
      true);
  if (trace.records() == 0) {
    throw InputError(printable(choices.path) + ": no record passes the filters: nothing to show");
  }
  put_out(choices, trace.to_chrome());
  if (trace.left_out() > 0) {
    say(std::to_string(trace.left_out()) + " records after the first " +
        std::to_string(PhaseTrace::most) + " are left out: --since, --where or --phase chooses");
  }
  return 0;
}

int plot(const Choices& choices) {
  require_output(choices);
  const Filter filter = filter_of(choices);
  RunSource source = source_of(choices);
  source.keep_newest();
  TimeSeries series;
  std::string run_id;
  source.look(
      [&](const Line& line) {
        if (line.type != Line::Type::metric || !filter.passes(line.record)) return;
        if (series.records() == 0) run_id = line.record.run_id;
        series.add(line.record);
      },
      true);
  if (series.records() == 0) {
    throw InputError(printable(choices.path) + ": no record passes the filters: nothing to plot");
  }
  put_out(choices,
          plot_svg(series, "Run " + run_id + ", " + std::to_string(series.records()) + " records"));
  return 0;
}

using program::Configuration;

void add_input(CLI::App& command, Configuration& config, Choices& choices) {
  command.add_option("FILE", choices.path, "a run's file, or a directory: all *.jsonl runs in it");
  auto table = config.table("monitor");
  table.add({"phases", "--phase"}, choices.phases, "only of this phase; may be given again")
      ->type_name("NAME")
      ->allow_extra_args(false);
  table
      .add({"since", "--since"}, choices.since,
           "only since a time (UTC), or for the last 10m, 1h30m")
      ->check(program::accepted_by(
          [](const std::string& text) { return parse_since(text, unix_now_ns()); }))
      ->type_name("TIME");
  table
      .add({"where", "--where"}, choices.where, "only where it holds: 'conflicts>0 && phase==whcr'")
      ->check(program::accepted_by(Where::parse))
      ->type_name("EXPRESSION");
}

void add_output(CLI::App& command, Choices& choices) {
  command.add_option("--output", choices.output, "write it here, not to the standard output")
      ->type_name("FILE");
}

void add_serve_option(CLI::App& app, Choices& choices) {
  CLI::Option* serve =
      app.add_option(
             "--serve", choices.port,
             "follow it on a page for browsers of this machine, at this port; 0: a free one")
          ->check(program::whole_number())
          ->check(CLI::Range(0, 65535))
          ->type_name("PORT");
  for (const char* name : {"--tail", "--summary", "--once", "--format"}) {
    serve->excludes(app.get_option(name));
  }
}

void add_watch_options(CLI::App& app, Configuration& config, Choices& choices) {
  auto table = config.table("monitor");
  app.add_flag("--tail", choices.tail, "follow what is written, until the run ends");
  app.add_flag("--summary", choices.summary, "show a table of the phases, not each record");
  table.add({"format", "--format"}, choices.format, "text, jsonl or csv")
      ->check(program::accepted_by(parse_format))
      ->type_name("FORMAT");
  app.add_flag("--once", choices.once, "look once, also with --tail");
  table
      .add({"interval_ms", "--interval"}, choices.interval_ms,
           "milliseconds between two looks of --tail, --serve")
      ->check(program::whole_number())
      ->check(CLI::Range(10, 3'600'000))
      ->type_name("MS");
  table
      .add({"stall_after", "--stall-after"}, choices.stall_after,
           "leave with status 3 if a run without summary has no new record for so long")
      ->check(program::accepted_by(parse_stall_after))
      ->type_name("SECONDS");
}

/// Before a command, an option that it does not have would do nothing.
void refuse_before_command(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || command->get_option_no_throw(option->get_name()) != nullptr)
      continue;
    throw OptionError(option->get_name() + " before the command " + command->get_name() +
                      ", which has no such option: leave it out");
  }
}

constexpr const char* footer =
    "Examples:\n"
    "  aatgs_monitor run.jsonl                       # every record, a line each\n"
    "  aatgs_monitor run.jsonl --tail --stall-after 60\n"
    "  aatgs_monitor runs/ --summary --since 1h\n"
    "  aatgs_monitor run.jsonl --summary --format csv --phase whcr --phase memetic\n"
    "  aatgs_monitor run.jsonl --format jsonl --where 'conflicts>0 && parameters.mu<0.5'\n"
    "  aatgs_monitor run.jsonl --serve 8000          # also /metrics, /api/summary, /api/records,\n"
    "                                                # /api/contexts\n"
    "  aatgs_monitor plot run.jsonl --output run.svg\n"
    "  aatgs_monitor export prometheus run.jsonl --output run.prom\n"
    "  aatgs_monitor export chrome run.jsonl --output run.trace.json\n"
    "  aatgs_monitor export csv run.jsonl >run.csv\n"
    "  aatgs_monitor run.jsonl --config monitor.toml # --print-config shows what can be in it\n"
    "--where: FIELD OP VALUE, joined by && and ||; OP: == != < <= > >= ~ (contains). FIELD: "
    "phase,\n"
    "step, colors, conflicts, duration_ms, mode, stream, ticket, reason, name, sequence, "
    "timestamp,\n"
    "monotonic_ns, run_id, parameters.KEY, notes.KEY.\n"
    "Percentiles are at most 3.2 % too high. Best colors: the fewest without conflicts.\n"
    "Exit status: 0 shown, or the run ended; 1 a failure; 2 wrong options, or malformed input "
    "(with\n"
    "its line); 3 a stalled run";

}  // namespace
}  // namespace aatgs::monitor

int main(int argc, char** argv) {
  namespace monitor = aatgs::monitor;
  using aatgs::program::Configuration;
  monitor::Choices choices;
  CLI::App app("Shows what runs tell in their telemetry files, live or afterwards",
               "aatgs_monitor");
  app.footer(monitor::footer);
  CLI::App* plot = app.add_subcommand("plot", "draw conflicts and colours over time, as SVG");
  CLI::App* exports = app.add_subcommand("export", "write the telemetry in another format");
  exports->require_subcommand(1);
  CLI::App* prometheus =
      exports->add_subcommand("prometheus", "figures of each phase, in its text format");
  CLI::App* chrome =
      exports->add_subcommand("chrome", "each phase's steps over time, for ui.perfetto.dev");
  CLI::App* csv = exports->add_subcommand("csv", "every record, a row each");
  Configuration of_all(app);
  Configuration of_plot(*plot);
  Configuration of_prometheus(*prometheus);
  Configuration of_chrome(*chrome);
  Configuration of_csv(*csv);
  monitor::add_input(app, of_all, choices);
  monitor::add_watch_options(app, of_all, choices);
  monitor::add_serve_option(app, choices);
  monitor::add_input(*plot, of_plot, choices);
  monitor::add_input(*prometheus, of_prometheus, choices);
  monitor::add_input(*chrome, of_chrome, choices);
  monitor::add_input(*csv, of_csv, choices);
  monitor::add_output(*plot, choices);
  monitor::add_output(*prometheus, choices);
  monitor::add_output(*chrome, choices);
  Configuration* const commands[] = {&of_all, &of_plot, &of_prometheus, &of_chrome, &of_csv};
  return run(app, commands, argc, argv, [&] {
    monitor::refuse_before_command(app);
    if (plot->parsed()) return monitor::plot(choices);
    if (prometheus->parsed()) return monitor::export_prometheus(choices);
    if (chrome->parsed()) return monitor::export_chrome(choices);
    if (csv->parsed()) return monitor::export_csv(choices);
    return choices.port ? monitor::serve(choices) : monitor::watch(choices);
  });
}
