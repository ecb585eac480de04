// SPDX-License-Identifier: Apache-2.0
// Summaries and series as JSON on one line.
#pragma once

#include <string>

#include "summary.hpp"
#include "time_series.hpp"

namespace aatgs::monitor {

/// {"runs":[...],"phases":[...],"left_out":N}. `phases`: their lines, as `show_summary` gives them;
/// of both lists, the last `most` are there.
[[nodiscard]] std::string summary_json(const Summary& summary, const std::string& phases,
                                       std::size_t most);

/// {"run_id":...,"start_ms":...,"last_ms":...,"bin_ms":...,"records":N,"best":...,"bins":[...]};
/// a bin that has records is [index, least conflicts, most, least colors, most], colors being null
/// where none are told. Times are since 1970.
[[nodiscard]] std::string series_json(const TimeSeries& series, const std::string& run_id);

}  // namespace aatgs::monitor
