// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <limits>
#include <new>
#include <string_view>
#include <system_error>

#include "coloring/replace_file.hpp"
#include "text_input.hpp"

namespace aatgs::program {
namespace {

enum Status { wrong_input = 2, failed = 1 };

/// What CLI11 says, with the commands that there are where one is missing.
std::string account(const CLI::App& app, const CLI::ParseError& error) {
  std::string text = error.what();
  // "--since: --since 'x' is ...", where a check's own words begin with the option, too.
  const std::size_t colon = text.find(": ");
  if (colon != text.npos && text.compare(colon + 2, colon + 1, text.substr(0, colon) + " ") == 0) {
    text.erase(0, colon + 2);
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) == nullptr) return text;
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty()) last = last->get_subcommands().front();
  if (last->get_require_subcommand_min() == 0) return text;
  const auto commands = last->get_subcommands([](const CLI::App*) { return true; });
  for (std::size_t i = 0; i < commands.size(); ++i) {
    text += (i == 0 ? ": " : ", ") + commands[i]->get_name();
  }
  return text;
}

/// NaN where it is none.
double number_of(const std::string& text) {
  double value = 0;
  const bool is_number = !text.empty() && CLI::detail::lexical_cast(text, value);
  return is_number ? value : std::numeric_limits<double>::quiet_NaN();
}

/// Whether what is written to one of them would be lost by what is written to the other.
bool are_one_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return std::filesystem::is_regular_file(a, error);
  // Neither need be there yet.
  const auto place = [&](const std::filesystem::path& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  };
  const auto where = place(a);
  return !where.empty() && !std::filesystem::exists(where, error) && where == place(b);
}

int report(const CLI::App& app, std::string_view message, Status status) {
  std::cerr << app.get_name() << ": " << printable(message, 1000) << "\n";
  return status;
}

/// Whether the standard output is open.
bool take_up_standard_streams() {
  bool has_output = true;
  for (int stream = 0; stream <= 2; ++stream) {
    if (::fcntl(stream, F_GETFD) != -1) continue;
    if (stream == STDOUT_FILENO) has_output = false;
    // The lowest number that is free is this one.
    [[maybe_unused]] const int taken = ::open("/dev/null", O_RDWR);
  }
  return has_output;
}

int run_body(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
  if (!take_up_standard_streams()) {
    throw InputError("the standard output is closed: send it to a file, or to /dev/null");
  }
  int status = 0;
  try {
    app.parse(argc, argv);
    status = body();
  } catch (const CLI::Success& help) {
    app.exit(help);
  }
  flush_output();
  return status;
}

}  // namespace

int run(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
  try {
    return run_body(app, argc, argv, body);
  } catch (const CLI::ParseError& e) {
    return report(app, account(app, e) + "; --help lists the options", wrong_input);
  } catch (const InputError& e) {
    return report(app, e.what(), wrong_input);
  } catch (const OptionError& e) {
    return report(app, e.what(), wrong_input);
  } catch (const std::bad_alloc&) {
    return report(app, "this machine has not enough memory for that: ask for less", failed);
  } catch (const std::exception& e) {
    return report(app, e.what(), failed);
  }
}

CLI::Validator whole_number() {
  const auto check = [](const std::string& text) -> std::string {
    const bool octal = text.size() > 1 && text[0] == '0';
    if (parse_number(text) && !octal) return {};
    return "'" + printable(text) + "' is not a whole number";
  };
  return {[check](std::string& text) { return check(text); }, "", "whole number"};
}

CLI::Validator seconds() {
  const auto check = [](const std::string& text) -> std::string {
    const double value = number_of(text);
    if (value > 0 && value <= 1e9) return {};
    return "'" + printable(text) + "': give seconds above 0, up to 1e9";
  };
  return {[check](std::string& text) { return check(text); }, "", "seconds"};
}

CLI::Validator share() {
  const auto check = [](const std::string& text) -> std::string {
    const double value = number_of(text);
    if (value >= 0 && value <= 1) return {};
    return "'" + printable(text) + "': give 0 to 1";
  };
  return {[check](std::string& text) { return check(text); }, "", "share"};
}

CLI::Validator accepted_by(const std::function<void(const std::string&)>& parse) {
  const auto check = [parse](const std::string& text) -> std::string {
    try {
      parse(text);
      return {};
    } catch (const OptionError& e) {
      return e.what();
    } catch (const InputError& e) {
      return e.what();
    }
  };
  return {[check](std::string& text) { return check(text); }, ""};
}

void flush_output() {
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout) return;
  throw InputError("cannot write to the standard output" +
                   (errno != 0 ? ": " + std::generic_category().message(errno) : ""));
}

void require_writable(const std::string& path) {
  if (!path.empty()) coloring::require_replaceable(path);
}

void require_distinct(std::initializer_list<NamedFile> files) {
  for (const NamedFile* a = files.begin(); a != files.end(); ++a) {
    for (const NamedFile* b = a + 1; b != files.end(); ++b) {
      if (a->path.empty() || b->path.empty() || !are_one_file(a->path, b->path)) continue;
      throw InputError(std::string(a->option) + " and " + std::string(b->option) +
                       " are one file, '" + printable(b->path) + "': name two");
    }
  }
}

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  coloring::replace_file(path, [&](std::ostream& out) { out << text; });
}

}  // namespace aatgs::program
