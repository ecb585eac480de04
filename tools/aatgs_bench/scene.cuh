// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/kernel_shape.cuh>
#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lean_kernel.cuh"
#include "plan.hpp"
#include "report.hpp"
#include "roads.hpp"
#include "widths.cuh"

namespace aatgs::bench {

/// One step in one scope: what to measure, in which widths, and where the figures go.
template <class Step>
class Scene {
 public:
  Scene(const Plan& plan, Report& report, Widths& widths, std::string step, Scope scope,
        const std::function<Step()>& make_step)
      : plan_(plan),
        report_(report),
        widths_(widths),
        step_(std::move(step)),
        scope_(scope),
        make_step_(make_step),
        has_dependent_launch_(has_dependent_launch(
            plan.context.device, reinterpret_cast<const void*>(&slot_kernel<Step, true, true>))) {}

  [[nodiscard]] Scope scope() const { return scope_; }
  [[nodiscard]] const ContextOptions& ours() const { return plan_.context; }
  /// Whether the GPU has such a road.
  [[nodiscard]] bool has(const std::string& road) const {
    return !road.ends_with("_pdl") || has_dependent_launch_;
  }

  /// The setup in which steps of this length are fastest, by `us_of(setup, us, seconds)`; found
  /// once for each `who`.
  template <class UsOf>
  Setup<Step> fastest(bool is_own, const std::string& who, double us, const UsOf& us_of) {
    const double at = Step::tuned_at_us(us);
    const int device = plan_.context.device;
    const std::string name = of(who, at, "width").name();
    if (!widths_.contains(name)) {
      const auto best = fastest_of(
          is_own ? own_setups(make_step_(), scope_, plan_.context)
                 : other_setups(make_step_(), scope_, device),
          [&](const Setup<Step>& setup, double seconds) { return us_of(setup, at, seconds); });
      widths_[name] = {best.blocks, best.threads, best.workers};
    }
    const Width& width = widths_.at(name);
    return {make_step_(), scope_, width.blocks, width.threads, device, width.workers};
  }

  /// The lengths of one road whose figures are wanted; none, and said so, if the GPU has no such
  /// road.
  [[nodiscard]] std::vector<double> wanted(const std::string& group, const std::string& road,
                                           const std::vector<double>& lengths) const {
    std::vector<double> result;
    std::copy_if(lengths.begin(), lengths.end(), std::back_inserter(result),
                 [&](double us) { return plan_.wants(of(group, us, road).name()); });
    if (result.empty() || has(road)) return result;
    note_no_dependent_launch(Case{group, step_, std::string(to_string(scope_)), {}, road}.name());
    return {};
  }

  void add(const std::string& group, double us, const std::string& road, const std::string& what,
           std::vector<double> samples, std::optional<double> against_best = {}) {
    Figure result = figure(of(group, us, road), "us", what, std::move(samples));
    result.against_best = against_best;
    report_.add(result);
  }
  /// The best of the others as measured so far; empty if there is none.
  [[nodiscard]] std::string best_other(const std::string& group, double us) const {
    const Figure* best = report_.best_other(of(group, us, our_road));
    return best == nullptr ? std::string() : best->of.road;
  }

  /// Short steps are where the roads differ most, and where samples are cheap.
  [[nodiscard]] double seconds(double us) const {
    return us == 0 ? 4 * plan_.seconds : plan_.seconds;
  }

 private:
  [[nodiscard]] Case of(const std::string& group, double us, const std::string& road) const {
    return {group, step_, std::string(to_string(scope_)), us, road};
  }

  const Plan& plan_;
  Report& report_;
  Widths& widths_;
  std::string step_;
  Scope scope_;
  std::function<Step()> make_step_;
  bool has_dependent_launch_;  ///< asked when no kernel stays on the GPU, which may be in the way
};

}  // namespace aatgs::bench
