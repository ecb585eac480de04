// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/hypertune_controller.hpp>
#include <aatgs/runtime/kernel_telemetry.hpp>
#include <aatgs/runtime/runtime_config.hpp>
#include <cstdint>
#include <functional>
#include <vector>

namespace aatgs::coloring {

/// The options that suit so many searches with slices of so many iterations. Several: a stalled
/// search goes on with a child of its coloring and another's. One alone: it is made warmer, and
/// goes back to the baseline when that has not helped for a window.
[[nodiscard]] HypertuneOptions whcr_hypertune_options(std::uint32_t searches,
                                                      std::uint32_t slice = 100);

/// Tunes the searches of a WHCR run: a `HypertuneController` for each, and what its actions mean.
///
///   adjust_temperatures  exploration_rate, the chance of a move that gains nothing; 1/64 to 0.4
///   adjust_weights       persistence_weight, so how long colors are barred; 0.05 to 2
///   adjust_iterations    the length of its slices; up to 16 times that of the baseline
///   adjust_population    the next slice recombines the search's coloring with another's: that with
///                        the fewest conflicts of some that are picked at random
///   toggle_phase         the coarse half of its slices, off or on again
///   reset_to_baseline    undoes all of these
/// Efficiency is the share of moves that add no conflict. A value outside its range is not moved
/// further out.
///
/// Same telemetry in the same order, same actions; telemetry of several searches comes in an order
/// that depends on the executor. Not thread-safe.
class WhcrHypertune {
 public:
  using Report = std::function<void(const RunMetric&)>;

  /// `report` is given each action and each outcome; may be empty. Throws `OptionError`.
  WhcrHypertune(const HypertuneOptions& options, const RuntimeConfig& baseline,
                std::uint32_t searches, std::uint64_t seed, Report report = {});

  /// Takes the telemetry of a slice that has ended (see `WhcrStep`).
  void observe(const KernelTelemetry& telemetry);

  /// What the search's next slice shall be run with; the control fields are the baseline's.
  [[nodiscard]] const RuntimeConfig& next_config(std::uint32_t search) const;
  /// That slice is on its way: the one after it does not recombine.
  void queued(std::uint32_t search);
  /// Iterations of that slice in units of the run's slice.
  [[nodiscard]] std::uint32_t length(std::uint32_t search) const;
  [[nodiscard]] bool coarse(std::uint32_t search) const;  ///< whether it has a coarse half

  [[nodiscard]] std::uint64_t actions() const { return actions_; }
  [[nodiscard]] std::uint64_t paid() const { return paid_; }  ///< after which conflicts dropped

 private:
  struct Search {
    explicit Search(const HypertuneOptions& options, const RuntimeConfig& baseline)
        : controller(options), config(baseline) {}

    HypertuneController controller;
    RuntimeConfig config;
    float length = 1;
    bool coarse = true;
    bool seen = false;            ///< has ended a slice
    std::uint64_t conflicts = 0;  ///< fewest since it was recombined, from its telemetry
  };

  void apply(const HypertuneAction& action, Search& search, std::uint32_t index);
  void recombine(Search& search, std::uint32_t index);

  RuntimeConfig baseline_;
  std::vector<Search> searches_;
  std::uint64_t random_;  ///< a stream of `counter_hash`
  std::uint64_t picks_ = 0;
  std::uint64_t actions_ = 0;
  std::uint64_t paid_ = 0;
  Report report_;
};

}  // namespace aatgs::coloring
