// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace aatgs::monitor {

/// A short name in capitals for progress lines: THERMO for thermodynamic; of a phase of the user's
/// own its name.
[[nodiscard]] std::string phase_tag(std::string_view phase);

/// `text` for people: control characters become '?', so that a terminal takes no orders from a
/// file.
[[nodiscard]] std::string visible(std::string_view text);

}  // namespace aatgs::monitor
