// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <aatgs/runtime/control_block.hpp>

namespace aatgs {

/// What a wedged device wait left behind, as a sentence that follows another; empty if nothing.
std::string describe(const HangRecord& record);

}  // namespace aatgs
