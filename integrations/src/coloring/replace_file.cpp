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

}  // namespace

void replace_file(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) refuse(path, "it is a directory");
  // Renaming over a device or a pipe would put a plain file in its place.
  if (fs::exists(status) && !fs::is_regular_file(status)) return write_to(path, path, write);

  // A symbolic link stays one: its target is replaced.
  const fs::path target = fs::exists(status) ? fs::canonical(path, error) : path;
  if (fs::exists(status) && error) refuse(path, error.message());
  const Temporary temporary(target.string() + ".tmp" + std::to_string(::getpid()));
  write_to(temporary.path, path, write);
  fs::rename(temporary.path, target, error);
  if (error) refuse(path, error.message());
}

}  // namespace aatgs::coloring
