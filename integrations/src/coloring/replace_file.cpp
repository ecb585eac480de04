// SPDX-License-Identifier: Apache-2.0
#include "replace_file.hpp"

#include <unistd.h>

#include <aatgs/host/errors.hpp>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

#include "../text_input.hpp"

namespace aatgs::coloring {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& path, const std::string& reason) {
  throw InputError("cannot write " + printable(path.string()) + ": " + reason);
}

std::string last_system_error() {
  return errno != 0 ? std::generic_category().message(errno) : "the stream failed";
}

/// Removes the temporary file unless it has taken its place.
struct Temporary {
  fs::path path;
  explicit Temporary(fs::path p) : path(std::move(p)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

/// Writes to `opened` on behalf of `asked`, the name that the user knows.
void write_to(const fs::path& opened, const fs::path& asked,
              const std::function<void(std::ostream&)>& write) {
  errno = 0;
  std::ofstream out(opened, std::ios::binary | std::ios::trunc);
  if (!out) refuse(asked, last_system_error());
  write(out);
  out.close();
  if (!out) refuse(asked, last_system_error());
}

/// Renaming over a device or a pipe would put a plain file in its place.
bool must_be_kept(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) refuse(path, "it is a directory");
  return fs::exists(status) && !fs::is_regular_file(status);
}

/// Where links lead that have no file behind them yet.
fs::path end_of_links(const fs::path& path) {
  constexpr int most_links = 40;  // as Linux follows
  std::error_code error;
  fs::path target = path;
  for (int links = 0; fs::is_symlink(target, error); ++links) {
    if (links == most_links) {
      error = std::make_error_code(std::errc::too_many_symbolic_link_levels);
      refuse(path, error.message());
    }
    const fs::path next = fs::read_symlink(target, error);
    if (error) refuse(path, error.message());
    target = target.parent_path() / next;
  }
  return target;
}

/// What is to be replaced: a symbolic link stays one.
fs::path target_of(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return end_of_links(path);
  const fs::path target = fs::canonical(path, error);
  if (error) refuse(path, error.message());
  return target;
}

/// Threads have different numbers, also those of other processes.
fs::path temporary_beside(const fs::path& target) {
  return target.string() + ".tmp" + std::to_string(::gettid());
}

}  // namespace

void replace_file(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  if (must_be_kept(path)) return write_to(path, path, write);
  const fs::path target = target_of(path);
  const Temporary temporary(temporary_beside(target));
  write_to(temporary.path, path, write);
  std::error_code error;
  fs::rename(temporary.path, target, error);
  if (error) refuse(path, error.message());
}

void require_replaceable(const fs::path& path) {
  if (must_be_kept(path)) return;
  const Temporary temporary(temporary_beside(target_of(path)));
  write_to(temporary.path, path, [](std::ostream&) {});
}

}  // namespace aatgs::coloring
