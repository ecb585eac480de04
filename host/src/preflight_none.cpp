// SPDX-License-Identifier: Apache-2.0
#include "preflight_facts.hpp"

namespace aatgs::detail {

void read_driver_facts(MachineFacts&) {}
void read_device_facts(MachineFacts&, const ResidentPlan&) {}

}  // namespace aatgs::detail
