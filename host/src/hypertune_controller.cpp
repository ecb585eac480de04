// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/hypertune_controller.hpp>
#include <algorithm>
#include <cmath>
#include <string>

namespace aatgs {

namespace {

using Event = HypertuneEvent;
using Kind = HypertuneKind;

/// The gravest first.
constexpr Event by_gravity[] = {Event::low_efficiency, Event::high_conflicts, Event::no_improvement,
                                Event::phase_stalled};

std::size_t index(Event event) {
  return static_cast<std::size_t>(event);
}

void check_rule(const HypertuneRule& rule) {
  if (index(rule.event) >= hypertune_events ||
      static_cast<std::size_t>(rule.kind) >= hypertune_kinds) {
    throw OptionError("a hypertune rule of event " + std::to_string(index(rule.event)) +
                      " and kind " + std::to_string(static_cast<int>(rule.kind)) +
                      ": take both from their enumerations");
  }
  if (!(std::isfinite(rule.factor) && rule.factor > 0)) {
    throw OptionError("hypertune rule for " + std::string(to_string(rule.event)) + ": factor " +
                      std::to_string(rule.factor) + ": give a finite number above 0");
  }
}

}  // namespace

std::vector<HypertuneRule> HypertuneOptions::default_rules() {
  return {{Event::phase_stalled, Kind::adjust_population},
          {Event::phase_stalled, Kind::adjust_temperatures, 2},
          {Event::phase_stalled, Kind::adjust_weights, 1.5F},
          {Event::no_improvement, Kind::reset_to_baseline},
          {Event::no_improvement, Kind::toggle_phase},
          {Event::high_conflicts, Kind::adjust_iterations, 2},
          {Event::low_efficiency, Kind::adjust_temperatures, 0.5F}};
}

void check_options(const HypertuneOptions& options) {
  const auto refuse = [](const char* name, const std::string& value, const std::string& rest) {
    throw OptionError("hypertune " + std::string(name) + " = " + value + ": " + rest);
  };
  const std::uint64_t window = options.window_records;
  if (window < 1 || window > HypertuneController::longest_window) {
    refuse("window_records", std::to_string(window),
           "give 1 to " + std::to_string(HypertuneController::longest_window));
  }
  if (options.record_iterations < 1) refuse("record_iterations", "0", "give at least 1");
  if (options.stall_iterations < 1) refuse("stall_iterations", "0", "give at least 1");
  const std::uint64_t covered = window * options.record_iterations;
  if (options.patience < 1) refuse("patience", "0", "give at least 1");
  if (covered / options.patience < options.stall_iterations) {
    refuse("window_records", std::to_string(window),
           "with " + std::to_string(options.record_iterations) +
               " iterations a record it is shorter than stall_iterations = " +
               std::to_string(options.stall_iterations) + " times patience = " +
               std::to_string(options.patience) + ": lengthen it or shorten the stall");
  }
  if (!(options.efficiency >= 0 && options.efficiency <= 1)) {  // also refuses a NaN
    refuse("efficiency", std::to_string(options.efficiency), "give 0 to 1");
  }
  for (const HypertuneRule& rule : options.rules) check_rule(rule);
}

HypertuneController::HypertuneController(const HypertuneOptions& options)
    : options_((check_options(options), options)), window_(options.window_records) {
  restart();
}

std::optional<HypertuneAction> HypertuneController::observe(const HypertuneSample& sample) {
  remember(sample);
  judge(false);
  detect();
  for (const Event event : by_gravity) {
    if (!detected(event) || rule_for(event) == nullptr) continue;
    judge(true);  // which may put another rule first
    return act(event, *rule_for(event));
  }
  return std::nullopt;
}

std::optional<HypertuneAction> HypertuneController::observe(const RunMetric& metric) {
  if (metric.step < run_.last_step) restart();
  HypertuneSample sample{.iterations = metric.step - run_.last_step, .conflicts = metric.conflicts};
  run_.last_step = metric.step;
  if (std::isfinite(metric.duration_ms) && metric.duration_ms > 0 && sample.iterations > 0) {
    const double rate = static_cast<double>(sample.iterations) / metric.duration_ms;
    run_.fastest = std::max(run_.fastest, rate);
    sample.efficiency = rate / run_.fastest;
  }
  return observe(sample);
}

std::optional<HypertuneOutcome> HypertuneController::take_outcome() {
  std::optional<HypertuneOutcome> taken;
  taken.swap(run_.outcome);
  return taken;
}

bool HypertuneController::detected(Event event) const {
  return run_.detected[index(event)];
}

void HypertuneController::restart() {
  run_ = {};
  run_.patience = options_.patience;
}

void HypertuneController::remember(const HypertuneSample& sample) {
  window_[run_.records % window_.size()] = {sample.conflicts, sample.efficiency};
  ++run_.records;
  ++run_.records_of_window;
  ++run_.records_without_gain;
  run_.iterations += sample.iterations;
  run_.stalled_iterations += sample.iterations;
  if (sample.conflicts < run_.fewest) {
    run_.fewest = sample.conflicts;
    run_.records_without_gain = 0;
  }
  if (sample.conflicts < run_.fewest_since_action) {
    run_.fewest_since_action = sample.conflicts;
    run_.stalled_iterations = 0;
  }
}

void HypertuneController::detect() {
  const bool full = run_.records_of_window >= window_.size();
  const bool legal = run_.fewest_since_action == 0;  // nothing is left to improve
  const auto set = [&](Event event, bool found) { run_.detected[index(event)] = found; };
  set(Event::phase_stalled,
      !legal && run_.stalled_iterations >= run_.patience * options_.stall_iterations);
  set(Event::no_improvement, !legal && run_.records_without_gain >= window_.size());
  set(Event::high_conflicts, full && fewest_in_window() > options_.high_conflicts);
  set(Event::low_efficiency, full && mean_efficiency() < options_.efficiency);  // not for a NaN
}

std::uint64_t HypertuneController::fewest_in_window() const {
  return std::min_element(
             window_.begin(), window_.end(),
             [](const Record& a, const Record& b) { return a.conflicts < b.conflicts; })
      ->conflicts;
}

/// Of the records that know theirs; a NaN if none does.
double HypertuneController::mean_efficiency() const {
  double sum = 0;
  double known = 0;
  for (const Record& record : window_) {
    if (!std::isfinite(record.efficiency)) continue;
    sum += record.efficiency;
    ++known;
  }
  return known > 0 ? sum / known : HypertuneSample::unknown;
}

/// `finally`: the action has had its time.
void HypertuneController::judge(bool finally) {
  if (!run_.open) return;
  const HypertuneAction& action = *run_.open;
  const bool paid = run_.fewest_since_action < action.conflicts_before;
  if (!paid && !finally) return;
  run_.outcome = HypertuneOutcome{action, run_.fewest_since_action,
                                  run_.iterations - action.at_iteration, paid};
  if (paid) {
    ++run_.paid;
    run_.patience = 1;
  } else {
    ++run_.failures[index(action.event)];
    run_.patience = std::min(run_.patience * 2, std::uint64_t{options_.patience});
  }
  run_.open.reset();
}

/// Null if the event has none.
const HypertuneRule* HypertuneController::rule_for(Event event) const {
  const auto answers = [&](const HypertuneRule& rule) { return rule.event == event; };
  const auto count = std::count_if(options_.rules.begin(), options_.rules.end(), answers);
  if (count == 0) return nullptr;
  auto left = run_.failures[index(event)] % static_cast<std::uint32_t>(count);
  return &*std::find_if(options_.rules.begin(), options_.rules.end(),
                        [&](const auto& rule) { return answers(rule) && left-- == 0; });
}

HypertuneAction HypertuneController::act(Event event, const HypertuneRule& rule) {
  const HypertuneAction action{++run_.actions, event,           rule.kind,
                               rule.factor,    run_.iterations, run_.fewest_since_action};
  run_.open = action;
  run_.fewest_since_action = none;
  run_.stalled_iterations = 0;
  if (event == Event::no_improvement) run_.records_without_gain = 0;
  if (event == Event::high_conflicts || event == Event::low_efficiency) run_.records_of_window = 0;
  return action;
}

}  // namespace aatgs
