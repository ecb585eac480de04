// SPDX-License-Identifier: Apache-2.0
// --devices of aatgs_whcr.
#pragma once

#include <aatgs/integrations/coloring/whcr_portfolio.hpp>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace aatgs::examples {

/// Why it is no list of devices, or nothing.
[[nodiscard]] std::string why_no_devices(const std::string& text);

/// From "all", or from ordinals such as "0,2". Throws `OptionError` for "all" with an executor on
/// the host; `DeviceError` if there are none.
[[nodiscard]] std::vector<int> parse_devices(const std::string& text, ExecutorKind executor);

/// A line for each device.
void print_parts(const coloring::WhcrPortfolioResult& result);
[[nodiscard]] nlohmann::ordered_json to_json(std::span<const coloring::WhcrPart> parts);

}  // namespace aatgs::examples
