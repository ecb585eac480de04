// SPDX-License-Identifier: Apache-2.0
#include "whcr_telemetry.hpp"

#include <array>
#include <cstdio>

using aatgs::PhaseExecution;
using aatgs::TelemetryOptions;
using aatgs::coloring::WhcrOptions;
using aatgs::coloring::WhcrSlice;
using aatgs::coloring::WhcrSolver;

namespace {

/// With a reason to be read in a record.
aatgs::ExecutorChoice choice_of(const WhcrOptions& options) {
  auto choice = choose_executor(options.context.executor, options.context.device);
  if (choice.kind == options.context.executor) {
    choice.reason = "executor " + std::string(to_string(choice.kind)) + " was asked for";
  }
  return choice;
}

TelemetryOptions with_gpu(TelemetryOptions telemetry, const WhcrOptions& options) {
  const bool has_gpu = !is_on_host(choice_of(options).kind);
  if (has_gpu) telemetry.gpu = aatgs::gpu_name(options.context.device);
  return telemetry;
}

}  // namespace

WhcrTelemetry::WhcrTelemetry(TelemetryOptions telemetry, const WhcrOptions& options,
                             const WhcrSolver& solver)
    : handle_(with_gpu(telemetry, options)), file_(telemetry.file.string()) {
  const aatgs::ExecutorChoice choice = choice_of(options);
  metric_.phase = aatgs::phase::whcr;
  metric_.chromatic_number = options.colors;
  metric_.execution = is_on_host(choice.kind)
                          ? PhaseExecution::cpu_fallback(choice.reason)
                          : PhaseExecution::gpu_ticket(0);
  metric_.parameters = R"({"slice":)" + std::to_string(solver.slice()) + R"(,"searches":)" +
                       std::to_string(solver.searches()) + R"(,"seed":)" +
                       std::to_string(options.seed) + "}";
}

void WhcrTelemetry::record(const WhcrSlice& slice) {
  if (metric_.execution.mode == PhaseExecution::Mode::gpu_ticket) {
    metric_.execution.number = slice.ticket;
  }
  metric_.conflicts = slice.conflicts;
  metric_.duration_ms = static_cast<double>(slice.duration_ns) / 1e6;
  std::array<char, 100> notes{};
  std::snprintf(notes.data(), notes.size(), R"({"search":%u,"iterations":%llu,"moves":%llu})",
                slice.search, static_cast<unsigned long long>(slice.iterations),
                static_cast<unsigned long long>(slice.moves));
  metric_.notes = notes.data();
  handle_.record(metric_);
  ++metric_.step;
}

void WhcrTelemetry::finish() {
  const aatgs::TelemetryStatus status = handle_.finalize();
  std::printf("telemetry     %llu records in %s, %llu dropped, %llu lost\n",
              static_cast<unsigned long long>(status.written), file_.c_str(),
              static_cast<unsigned long long>(status.dropped),
              static_cast<unsigned long long>(status.lost + status.pending));
  if (!status.last_error.empty()) {
    std::fprintf(stderr, "aatgs_whcr: telemetry: %s\n", status.last_error.c_str());
  }
}
