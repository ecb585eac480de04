// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <string>

namespace aatgs {

/// What a wedged device wait left behind, as a sentence that follows another; empty if nothing.
std::string describe(const HangRecord& record);

}  // namespace aatgs
