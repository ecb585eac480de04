// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <cstdio>
#include <iostream>
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
    double value = 0;
    const bool is_number = !text.empty() && CLI::detail::lexical_cast(text, value);
    if (is_number && value > 0 && value <= 1e9) return {};
    return "'" + printable(text) + "': give seconds above 0, up to 1e9";
  };
  return {[check](std::string& text) { return check(text); }, "", "seconds"};
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

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  coloring::replace_file(path, [&](std::ostream& out) { out << text; });
}

}  // namespace aatgs::program
