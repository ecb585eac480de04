// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/preflight.hpp>

namespace aatgs::detail {

/// The part of the facts that CUDA knows; a build without CUDA has a version that adds nothing.
void read_driver_facts(MachineFacts& facts);
void read_device_facts(MachineFacts& facts, const ResidentPlan& plan);

}  // namespace aatgs::detail
