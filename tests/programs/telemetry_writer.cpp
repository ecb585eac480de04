// SPDX-License-Identifier: Apache-2.0
// telemetry_writer FILE RUN_ID: writes a run's telemetry with the library. Each line of the
// standard input, "PHASE STEP COLORS CONFLICTS MS TICKET NOTES", is a record; its end ends the run.
#include <aatgs/host/run_telemetry.hpp>
#include <iostream>
#include <sstream>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  aatgs::TelemetryOptions options;
  options.file = argv[1];
  options.run_id = argv[2];
  options.rotate_bytes = 1 << 15;
  aatgs::TelemetryHandle telemetry(options);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string phase, notes;
    std::uint64_t ticket = 0;
    aatgs::RunMetric metric;
    words >> phase >> metric.step >> metric.chromatic_number >> metric.conflicts >>
        metric.duration_ms >> ticket >> std::ws;
    std::getline(words, notes);
    metric.phase = phase;
    metric.notes = notes;
    metric.execution = aatgs::PhaseExecution::gpu_ticket(ticket);
    if (!telemetry.record(metric)) return 1;
  }
  return telemetry.finalize().finalized ? 0 : 1;
}
