// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "time_series.hpp"

namespace aatgs::monitor {

/// An SVG picture of conflicts (logarithmic) and colors over time, one panel each, in black and
/// grey alone. `title` is any text. There must be a record.
[[nodiscard]] std::string plot_svg(const TimeSeries& series, const std::string& title);

}  // namespace aatgs::monitor
