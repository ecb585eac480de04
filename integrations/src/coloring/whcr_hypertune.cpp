// SPDX-License-Identifier: Apache-2.0
#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/integrations/coloring/whcr_hypertune.hpp>
#include <algorithm>
#include <limits>
#include <utility>

namespace aatgs::coloring {

namespace {

/// For a partner, of which the best is taken: some even of a few searches, enough of many.
std::size_t candidates(std::size_t searches) {
  return std::max(std::size_t{5}, searches / 8);
}

struct Range {
  float least;
  float most;
};
constexpr Range exploration{1.0F / 64, 0.4F};
constexpr Range persistence{0.05F, 2};
constexpr Range slice_lengths{1, 16};

float scaled(float value, float factor, Range range) {
  return std::clamp(value * factor, std::min(value, range.least), std::max(value, range.most));
}

double efficiency(const KernelTelemetry& t) {
  if (t.moves_applied <= 0) return HypertuneSample::unknown;
  return 1 - static_cast<double>(t.tunneling_events) / t.moves_applied;
}

RuntimeConfig without_recombination(RuntimeConfig config) {
  config.set(ConfigFlag::quantum, false);
  return config;
}

}  // namespace

HypertuneOptions whcr_hypertune_options(std::uint32_t searches, std::uint32_t slice) {
  using Event = HypertuneEvent;
  using Kind = HypertuneKind;
  HypertuneOptions options;
  options.record_iterations = std::max(1U, slice);
  // Searches that still descend are left alone, also where few others have something better.
  if (searches > 1) options.patience = searches < 8 ? 4 : 2;
  const std::uint64_t stall =
      options.patience * options.stall_iterations / options.record_iterations + 1;
  options.window_records = std::max(options.window_records, static_cast<std::uint32_t>(stall));
  options.rules = {{Event::low_efficiency, Kind::adjust_temperatures, 0.5F},
                   {Event::high_conflicts, Kind::adjust_iterations, 2}};
  if (searches > 1) {
    options.rules.push_back({Event::phase_stalled, Kind::adjust_population});
  } else {
    options.rules.push_back({Event::phase_stalled, Kind::adjust_temperatures, 2});
    options.rules.push_back({Event::no_improvement, Kind::reset_to_baseline});
  }
  return options;
}

WhcrHypertune::WhcrHypertune(const HypertuneOptions& options, const RuntimeConfig& baseline,
                             std::uint32_t searches, std::uint64_t seed, Report report)
    : baseline_(without_recombination(baseline)),
      searches_(searches, Search(options, baseline_)),
      random_(counter_hash(seed)),
      report_(std::move(report)) {}

void WhcrHypertune::observe(const KernelTelemetry& telemetry) {
  const auto index = static_cast<std::uint32_t>(telemetry.best_replica);
  Search& search = searches_.at(index);
  search.seen = true;
  search.conflicts = static_cast<std::uint64_t>(telemetry.free_energy);
  const auto action =
      search.controller.observe({.iterations = static_cast<std::uint64_t>(telemetry.padding[0]),
                                 .conflicts = search.conflicts,
                                 .efficiency = efficiency(telemetry)});
  if (const auto outcome = search.controller.take_outcome()) {
    if (outcome->paid) ++paid_;
    if (report_) report_(to_metric(*outcome, index));
  }
  if (!action) return;
  ++actions_;
  if (report_) report_(to_metric(*action, index));
  apply(*action, search, index);
}

void WhcrHypertune::apply(const HypertuneAction& action, Search& search, std::uint32_t index) {
  RuntimeConfig& config = search.config;
  switch (action.kind) {
    case HypertuneKind::adjust_temperatures:
      config.exploration_rate = scaled(config.exploration_rate, action.factor, exploration);
      break;
    case HypertuneKind::adjust_weights:
      config.persistence_weight = scaled(config.persistence_weight, action.factor, persistence);
      break;
    case HypertuneKind::adjust_iterations:
      search.length = scaled(search.length, action.factor, slice_lengths);
      break;
    case HypertuneKind::adjust_population:
      recombine(search, index);
      break;
    case HypertuneKind::toggle_phase:
      search.coarse = !search.coarse;
      break;
    case HypertuneKind::reset_to_baseline:
      config = baseline_;
      search.length = 1;
      search.coarse = true;
      break;
  }
}

/// With the best of some that have shown a coloring; none may be among them.
void WhcrHypertune::recombine(Search& search, std::uint32_t index) {
  std::uint64_t fewest = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t left = candidates(searches_.size()); left > 0; --left) {
    const auto other =
        static_cast<std::uint32_t>(counter_hash(random_, ++picks_) % searches_.size());
    if (other == index || !searches_[other].seen || searches_[other].conflicts >= fewest) continue;
    fewest = searches_[other].conflicts;
    search.config.set(ConfigFlag::quantum);
    search.config.num_quantum_states = static_cast<std::int32_t>(other);
  }
}

const RuntimeConfig& WhcrHypertune::next_config(std::uint32_t search) const {
  return searches_.at(search).config;
}

void WhcrHypertune::queued(std::uint32_t search) {
  searches_.at(search).config.set(ConfigFlag::quantum, false);
}

std::uint32_t WhcrHypertune::length(std::uint32_t search) const {
  return static_cast<std::uint32_t>(searches_.at(search).length);
}

bool WhcrHypertune::coarse(std::uint32_t search) const {
  return searches_.at(search).coarse;
}

}  // namespace aatgs::coloring
