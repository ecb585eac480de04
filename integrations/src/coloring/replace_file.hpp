// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <ostream>

namespace aatgs::coloring {

/// Writes a whole file or nothing: `write` fills a temporary file beside `path`, which then takes
/// its place; at any failure an old file stays as it was. Of several threads that write one `path`
/// the last leaves its file. A symbolic link stays one, what it leads to is replaced. What is no
/// plain file (a pipe, a terminal, /dev/null) is written to directly.
/// Throws InputError where the file cannot be written, and whatever `write` throws.
void replace_file(const std::filesystem::path& path,
                  const std::function<void(std::ostream&)>& write);

/// Tries whether `replace_file` could write there, and leaves everything as it was. What is no
/// plain file is not tried. Throws InputError where it could not.
void require_replaceable(const std::filesystem::path& path);

}  // namespace aatgs::coloring
