// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/statistics_page.hpp>
#include <string>
#include <vector>

#include "text.hpp"

namespace aatgs {

/// Which pages there are, and whether their processes live.
std::string show_list(const std::vector<PublishedContext>& pages, Format format);

/// What they do; `now_ns`: the monotonic clock, for the age of their heartbeats.
std::string show_statistics(const std::vector<PublishedContext>& pages, Format format,
                            std::uint64_t now_ns);

}  // namespace aatgs
