// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/control_block.hpp>
#include <cstdint>
#include <span>
#include <string>

namespace aatgs {

/// What a wedged device wait left behind, as a sentence that follows another; empty if nothing.
std::string describe(const HangRecord& record);

/// The same of configs that are not back, by their tickets; empty if there are none.
std::string describe_open(std::span<const std::uint64_t> running,
                          std::span<const std::uint64_t> queued);

}  // namespace aatgs
