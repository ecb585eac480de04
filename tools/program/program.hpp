// SPDX-License-Identifier: Apache-2.0
// What the command line programs share: one clear line for whatever goes wrong, whole files or
// none.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace aatgs::program {

/// Reads the command line into what `app` defines, and runs `body`. Returns the exit status: that
/// of `body`; 2 for a wrong command line, wrong input, and output that cannot be written
/// (`InputError`, `OptionError`); 1 for all else that is thrown. Each of these is one line on the
/// standard error stream. A standard stream that is closed is taken up, so that no file is opened
/// in its place.
int run(CLI::App& app, int argc, char** argv, const std::function<int()>& body);

/// Accepts decimal digits only. CLI11 alone reads "-1" as 2^64 - 1, "010" as 8, and what is over 64
/// bits as 2^64 - 1.
CLI::Validator whole_number();

/// Accepts a number above 0, up to 1e9. CLI11's own checks let a NaN pass.
CLI::Validator seconds();

/// Accepts a number from 0 to 1, and no NaN either.
CLI::Validator share();

/// Accepts what `parse` takes. Its `OptionError` or `InputError` tells why another text is refused.
CLI::Validator accepted_by(const std::function<void(const std::string&)>& parse);

/// Passes on what has been printed. InputError if the standard output does not take it.
void flush_output();

/// For before the work, so that its result is not lost after it: InputError if a file `path` cannot
/// be written. Leaves everything as it was. An empty path stands for no file.
void require_writable(const std::string& path);

/// A file that an option names; an empty path stands for none.
struct NamedFile {
  std::string_view option;
  std::string path;
};

/// For before the work: InputError where two of them are one, also through a link, so that one
/// would take the other's place. Devices and pipes may be named twice.
void require_distinct(std::initializer_list<NamedFile> files);

/// Writes a file, which appears whole or not at all. InputError if it cannot. An empty path stands
/// for no file.
void write_file(const std::string& path, const std::string& text);

}  // namespace aatgs::program
