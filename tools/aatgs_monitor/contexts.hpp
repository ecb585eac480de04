// SPDX-License-Identifier: Apache-2.0
// The statistics pages of running contexts, for programs.
#pragma once

#include <aatgs/host/statistics_page.hpp>
#include <string>
#include <vector>

namespace aatgs::monitor {

/// A JSON array with an object for each page, in UTF-8 and on one line. `now_ns`: of the machine's
/// monotonic clock.
[[nodiscard]] std::string contexts_json(const std::vector<PublishedContext>& pages,
                                        std::uint64_t now_ns);

/// The same figures in Prometheus' text format (version 0.0.4). Pages that cannot be read are left
/// out.
[[nodiscard]] std::string contexts_prometheus(const std::vector<PublishedContext>& pages,
                                              std::uint64_t now_ns);

}  // namespace aatgs::monitor
