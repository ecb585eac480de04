// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/statistics_page.hpp>
#include <string>
#include <vector>

namespace aatgs {

/// How pages are shown.
enum class Format {
  text,  ///< a table for people
  json,  ///< an array with everything that is known
  csv,   ///< a line for each, the numbers of the table
};

/// Parses the name. Throws `OptionError` that lists the choices.
Format parse_format(const std::string& text);

/// Which pages there are, and whether their processes live.
std::string show_list(const std::vector<PublishedContext>& pages, Format format);

/// What they do; `now_ns`: the monotonic clock, for the age of their heartbeats.
std::string show_statistics(const std::vector<PublishedContext>& pages, Format format,
                            std::uint64_t now_ns);

}  // namespace aatgs
