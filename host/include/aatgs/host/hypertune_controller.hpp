// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/hypertune_action.hpp>
#include <aatgs/host/run_metric.hpp>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace aatgs {

/// An answer to an event. The rules of one event are tried in their order: the next one when the
/// event comes again and the last answer did not pay, the first after the last.
struct HypertuneRule {
  HypertuneEvent event;
  HypertuneKind kind;
  float factor = 1;  ///< above 0, finite
};

/// Thresholds and answers. Windows are counted in records, stalls in iterations, and a record may
/// stand for many iterations. A window must hold at least `stall_iterations` of them:
/// window_records * record_iterations >= stall_iterations * patience. Else `no_improvement`, which
/// is the graver event, would be found before `phase_stalled`.
struct HypertuneOptions {
  std::uint32_t window_records = 50;
  std::uint32_t record_iterations = 100;  ///< that a record usually stands for
  std::uint64_t stall_iterations = 100;   ///< without fewer conflicts: stalled
  /// A stall is so many times as long at first and where actions do not pay: twice as long after
  /// each, up to this. One that pays makes it 1.
  std::uint32_t patience = 1;
  double efficiency = 0.5;              ///< low below this, 0 to 1
  std::uint64_t high_conflicts = 1000;  ///< high above this
  std::vector<HypertuneRule> rules = default_rules();

  /// When stalled: the population, then warmer, then other weights. Without improvement: the
  /// baseline, then a phase toggled. Many conflicts: longer configs. Low efficiency: cooler.
  static std::vector<HypertuneRule> default_rules();
};

/// Throws `OptionError` with the value that cannot work.
void check_options(const HypertuneOptions& options);

/// Watches one phase of a solver, or one search, by its records, and proposes actions.
///
/// It has neither clock nor randomness: the same records give the same actions. Its memory is the
/// window; it allocates when it is made and copied only. Not thread-safe.
class HypertuneController {
 public:
  static constexpr std::uint32_t longest_window = 1U << 20;

  /// Throws `OptionError`.
  explicit HypertuneController(const HypertuneOptions& options);

  /// Takes the next record. Returns what to do, at most one thing: of several events the gravest
  /// is answered (low efficiency, many conflicts, no improvement, a stall, in this order).
  std::optional<HypertuneAction> observe(const HypertuneSample& sample);

  /// The same for a record of a run: a step is an iteration, and it is as efficient as it is fast
  /// (steps per millisecond over the most of any record so far); durations that are no positive
  /// number tell nothing. A step that goes back begins the phase anew. Other phases' records are
  /// the caller's to leave out.
  std::optional<HypertuneAction> observe(const RunMetric& metric);

  /// What came of the last action, once: after conflicts dropped, or at the next action.
  std::optional<HypertuneOutcome> take_outcome();

  /// Whether the last record showed it, answered or not.
  [[nodiscard]] bool detected(HypertuneEvent event) const;

  [[nodiscard]] std::uint64_t actions() const { return run_.actions; }
  [[nodiscard]] std::uint64_t paid() const { return run_.paid; }  ///< actions that did

  /// Forgets all records, actions and outcomes.
  void restart();

 private:
  struct Record {
    std::uint64_t conflicts;
    double efficiency;
  };
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  /// All that changes, but for the window.
  struct Run {
    std::uint64_t records = 0;
    std::uint64_t iterations = 0;
    std::uint64_t fewest = none;  ///< conflicts, ever
    std::uint64_t fewest_since_action = none;
    std::uint64_t stalled_iterations = 0;    ///< since those dropped
    std::uint64_t records_without_gain = 0;  ///< since `fewest` dropped, or that was answered
    std::uint64_t records_of_window = 0;     ///< since what the window showed was answered
    std::uint64_t patience = 1;              ///< stalls last so many times as long
    std::uint64_t actions = 0;
    std::uint64_t paid = 0;
    std::array<bool, hypertune_events> detected{};
    std::array<std::uint32_t, hypertune_events> failures{};  ///< answers that did not pay
    std::optional<HypertuneAction> open;                     ///< not judged yet
    std::optional<HypertuneOutcome> outcome;
    std::uint64_t last_step = 0;  ///< of the run's records
    double fastest = 0;           ///< steps per millisecond
  };

  void remember(const HypertuneSample& sample);
  void detect();
  [[nodiscard]] std::uint64_t fewest_in_window() const;
  [[nodiscard]] double mean_efficiency() const;
  void judge(bool finally);
  [[nodiscard]] const HypertuneRule* rule_for(HypertuneEvent event) const;
  HypertuneAction act(HypertuneEvent event, const HypertuneRule& rule);

  HypertuneOptions options_;
  std::vector<Record> window_;  ///< a ring of `window_records`
  Run run_;
};

}  // namespace aatgs
