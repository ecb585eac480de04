// SPDX-License-Identifier: Apache-2.0
#include "tune.hpp"

#include <algorithm>
#include <ostream>

namespace aatgs {
namespace {

/// Other load on the machine only ever slows a run down.
Measurement fastest_of(std::uint32_t repeat, const Runner& run, const Setting& setting) {
  Measurement best = run(setting);
  for (std::uint32_t i = 1; i < repeat; ++i) {
    Measurement again = run(setting);
    if (again.per_second > best.per_second) best = std::move(again);
  }
  return best;
}

std::string percent(double share) {
  return fixed(100 * share, 0) + " %";
}

void tell(std::ostream& out, std::size_t number, const std::string& of, const Measurement& m) {
  out << "aatgs_stats: run " << number << of << ": " << m.setting.config_slots << " + "
      << m.setting.telemetry_slots << " slots, " << short_count(m.per_second) << "/s, peaks "
      << percent(m.config_ring.peak) << " and " << percent(m.telemetry_ring.peak) << ", "
      << m.config_overflows + m.telemetry_overflows << " overflows" << std::endl;
}

}  // namespace

TuneResult tune(const TunePlan& plan, const Runner& run, std::ostream& progress) {
  TuneResult result;
  result.plan = plan;
  std::vector<Measurement> recommended;
  for (const Setting& policies : plan.policies) {
    std::vector<Measurement> runs;
    const auto measure = [&](const Setting& setting, const std::string& of) {
      runs.push_back(fastest_of(plan.repeat, run, setting));
      tell(progress, result.runs.size() + runs.size(), of, runs.back());
    };
    if (plan.exhaustive) {
      const std::vector<Setting> all = all_sizes(plan.limits, policies);
      const std::string of = " of " + std::to_string(all.size() * plan.policies.size());
      for (const Setting& setting : all) measure(setting, of);
    } else {
      for (Tuner tuner(plan.limits, policies); tuner.next(); tuner.add(runs.back())) {
        measure(*tuner.next(), "");
      }
    }
    recommended.push_back(recommend(runs));
    result.runs.insert(result.runs.end(), runs.begin(), runs.end());
  }
  for (const Measurement& m : result.runs) {
    result.fastest_per_second = std::max(result.fastest_per_second, m.per_second);
  }
  result.recommended = first_of_fastest(recommended);
  return result;
}

}  // namespace aatgs
