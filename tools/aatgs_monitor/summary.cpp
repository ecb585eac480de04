// SPDX-License-Identifier: Apache-2.0
#include "summary.hpp"

#include <algorithm>
#include <cmath>

namespace aatgs::monitor {

void PhaseSummary::add(const Record& record) {
  ++records;
  last_conflicts = record.conflicts;
  least_conflicts = std::min(least_conflicts, record.conflicts);
  most_conflicts = std::max(most_conflicts, record.conflicts);
  last_colors = record.chromatic_number;
  if (record.chromatic_number != 0) {
    least_colors = std::min(least_colors, record.chromatic_number);
    if (record.conflicts == 0) best_colors = std::min(best_colors, record.chromatic_number);
  }
  using Mode = PhaseExecution::Mode;
  if (record.mode == Mode::gpu_stream || record.mode == Mode::gpu_ticket) ++on_gpu;
  if (record.mode == Mode::cpu_fallback) ++on_cpu;
  if (!(record.duration_ms >= 0)) return;  // nor NaN
  constexpr double most_ns = 9e18;
  duration_ns.record(static_cast<std::uint64_t>(std::min(record.duration_ms * 1e6, most_ns)));
  duration_ms += record.duration_ms;
}

double PhaseSummary::percentile_ms(double share) const {
  return static_cast<double>(duration_ns.percentile(share)) * 1e-6;
}

double PhaseSummary::max_ms() const {
  return static_cast<double>(duration_ns.max()) * 1e-6;
}

void Summary::add(const Line& line) {
  if (line.type == Line::Type::metric) {
    const Record& record = line.record;
    RunSummary& run = run_of(record.run_id, line);
    if (run.records++ == 0) run.first_unix_ns = record.unix_ns;
    run.first_unix_ns = std::min(run.first_unix_ns, record.unix_ns);
    run.last_unix_ns = std::max(run.last_unix_ns, record.unix_ns);
    phase_of(run, record.phase).add(record);
  } else if (line.type == Line::Type::manifest) {
    RunSummary& run = run_of(line.manifest.run_id, line);
    run.gpu = line.manifest.gpu;
    run.library_version = line.manifest.library_version;
    run.start_unix_ns = line.manifest.start_unix_ns;
  } else if (line.type == Line::Type::summary) {
    const RunEnd& end = line.end;
    run_of(end.run_id, line).end = {end.unix_ns, end.written, end.dropped, end.lost,
                                    std::string(end.last_error)};
  }
}

RunSummary& Summary::run_of(std::string_view run_id, const Line& line) {
  if (last_run_ != nullptr && last_run_->run_id == run_id) return *last_run_;
  auto at = run_by_id_.find(run_id);
  if (at == run_by_id_.end() && runs_.size() >= most) {
    run_id = others;
    at = run_by_id_.find(run_id);
  }
  if (at == run_by_id_.end()) {
    runs_.push_back(std::make_unique<RunSummary>());
    runs_.back()->run_id = run_id;
    runs_.back()->file = line.file;
    at = run_by_id_.emplace(run_id, runs_.back().get()).first;
  }
  last_run_ = at->second;
  return *last_run_;
}

PhaseSummary& Summary::phase_of(RunSummary& run, std::string_view phase) {
  auto at = run.phase_by_name.find(phase);
  if (at == run.phase_by_name.end() && phase_count_ >= most) {
    phase = others;
    at = run.phase_by_name.find(phase);
  }
  if (at == run.phase_by_name.end()) {
    run.phases.push_back(std::make_unique<PhaseSummary>());
    run.phases.back()->phase = phase;
    at = run.phase_by_name.emplace(phase, run.phases.back().get()).first;
    ++phase_count_;
  }
  return *at->second;
}

}  // namespace aatgs::monitor
