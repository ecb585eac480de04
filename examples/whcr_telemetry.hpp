// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/run_telemetry.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>

/// Writes a record for each slice of a run.
class WhcrTelemetry {
 public:
  /// `telemetry.gpu` is filled in here. Throws InputError if the file cannot be had or is there.
  WhcrTelemetry(aatgs::TelemetryOptions telemetry, const aatgs::coloring::WhcrOptions& options,
                const aatgs::coloring::WhcrSolver& solver);

  /// Costs the solver some 100 ns: it waits for no disk.
  void record(const aatgs::coloring::WhcrSlice& slice);

  /// What a controller did, or what came of it.
  void record(const aatgs::RunMetric& metric) { handle_.record(metric); }

  /// Ends the file, and prints what became of the records. Losses do not fail a run.
  void finish();

 private:
  aatgs::TelemetryHandle handle_;
  std::string file_;
  aatgs::RunMetric metric_;  ///< with all that stays the same
};
