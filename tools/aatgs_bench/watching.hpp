// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "plan.hpp"
#include "report.hpp"

namespace aatgs::bench {

/// What it costs to be watched, as `watch/...`, see turns.hpp:
/// `statistics_page`: time of a config with the rings kept full, with the page in shared memory
/// against without; `statistics_page_round_trip`: the same, one at a time.
/// `event_ring_round_trip`: one at a time, with an event ring against without.
/// `telemetry`: a WHCR search in slices of some 95 us, with a record of each slice in a JSONL file
/// against without; `telemetry_records`: how many it wrote a second.
void measure_watching(const Plan& plan, Report& report);

/// The last two of these.
void measure_telemetry(const Plan& plan, Report& report);

}  // namespace aatgs::bench
