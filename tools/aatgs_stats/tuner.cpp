// SPDX-License-Identifier: Apache-2.0
#include "tuner.hpp"

#include <aatgs/host/errors.hpp>
#include <aatgs/runtime/ring_shape.hpp>
#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>

namespace aatgs {
namespace {

constexpr double as_fast = 0.98;  // of the fastest: runs differ by so much of themselves
constexpr double ideal_peak = 0.8;

RingVerdict judge(const RingUtilization& ring, bool has_overflowed) {
  if (has_overflowed || ring.peak > 0.9) return RingVerdict::enlarge;
  if (ring.peak > ideal_peak) return RingVerdict::nearly_full;
  if (ring.peak >= 0.4) return RingVerdict::ideal;
  return ring.peak >= 0.2 ? RingVerdict::fine : RingVerdict::shrink;
}

/// Configs are refused for want of a slot in either ring, which was then found full.
bool was_refused_for(const RingUtilization& ring, const RingUtilization& other,
                     std::uint64_t refusals) {
  return refusals != 0 && (ring.peak >= 1 || other.peak < 1);
}

std::uint64_t slots_of(const Setting& setting) {
  return std::uint64_t{setting.config_slots} + setting.telemetry_slots;
}

double fastest(const std::vector<Measurement>& runs) {
  double best = 0;
  for (const Measurement& run : runs) best = std::max(best, run.per_second);
  return best;
}

double occupied(const RingUtilization& ring) {
  return ring.peak * ring.slots;
}

/// So many slots that their peak is ideal, as close to 80 % as powers of two allow.
std::uint32_t slots_for(double occupied_at_peak, const SlotLimits& limits) {
  const double slots = std::clamp<double>(std::ceil(occupied_at_peak / ideal_peak - 1e-9),
                                          limits.least, limits.most);
  return std::bit_ceil(static_cast<std::uint32_t>(slots));
}

}  // namespace

RingVerdict judge_config_ring(const Measurement& run) {
  return judge(run.config_ring,
               was_refused_for(run.config_ring, run.telemetry_ring, run.config_overflows));
}

RingVerdict judge_telemetry_ring(const Measurement& run) {
  const bool refused = was_refused_for(run.telemetry_ring, run.config_ring, run.config_overflows);
  return judge(run.telemetry_ring, refused || run.telemetry_overflows != 0);
}

bool is_clean(const Measurement& run) {
  return judge_config_ring(run) != RingVerdict::enlarge &&
         judge_telemetry_ring(run) != RingVerdict::enlarge;
}

void check_limits(const SlotLimits& limits) {
  for (const std::uint32_t slots : {limits.least, limits.most}) {
    if (is_ring_size(slots)) continue;
    throw OptionError("a ring of " + std::to_string(slots) +
                      " slots: --min-slots and --max-slots are powers of two from 1 to " +
                      std::to_string(max_ring_slots));
  }
  if (limits.least > limits.most) {
    throw OptionError("--min-slots " + std::to_string(limits.least) + " is above --max-slots " +
                      std::to_string(limits.most));
  }
}

std::vector<Setting> all_sizes(const SlotLimits& limits, const Setting& policies) {
  check_limits(limits);
  std::vector<Setting> all;
  for (std::uint64_t config = limits.least; config <= limits.most; config *= 2) {
    for (std::uint64_t telemetry = limits.least; telemetry <= limits.most; telemetry *= 2) {
      Setting setting = policies;
      setting.config_slots = static_cast<std::uint32_t>(config);
      setting.telemetry_slots = static_cast<std::uint32_t>(telemetry);
      all.push_back(setting);
    }
  }
  return all;
}

const Measurement& recommend(const std::vector<Measurement>& runs) {
  const double enough = as_fast * fastest(runs);
  const auto rank = [&](const Measurement& run) {
    return std::tuple(run.per_second < enough, !is_clean(run), slots_of(run.setting),
                      -run.per_second);
  };
  return *std::min_element(runs.begin(), runs.end(),
                           [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

const Measurement& first_of_fastest(const std::vector<Measurement>& runs) {
  const double enough = as_fast * fastest(runs);
  return *std::find_if(runs.begin(), runs.end(),
                       [&](const Measurement& run) { return run.per_second >= enough; });
}

Tuner::Tuner(const SlotLimits& limits, const Setting& policies)
    : limits_(limits),
      next_(policies),
      config_{limits.least, false},
      telemetry_{limits.least, false} {
  check_limits(limits);
  next_->config_slots = next_->telemetry_slots = std::clamp(1024U, limits.least, limits.most);
}

void Tuner::add(const Measurement& run) {
  runs_.push_back(run);
  learn(config_, judge_config_ring(run), run.setting.config_slots);
  learn(telemetry_, judge_telemetry_ring(run), run.setting.telemetry_slots);
  seeks_smaller_ = seeks_smaller_ || enlarging_is_vain();
  const Setting setting = seeks_smaller_ ? smaller() : follow_rule(run);
  next_.reset();
  if (!is_tried(setting)) next_ = setting;
}

void Tuner::learn(Ring& ring, RingVerdict verdict, std::uint32_t slots) const {
  if (verdict != RingVerdict::enlarge) {
    ring.has_been_enough = true;
  } else {
    ring.least = std::max(ring.least, std::min(slots, limits_.most / 2) * 2);
  }
}

std::uint32_t Tuner::wanted(const Ring& ring, RingVerdict verdict,
                            const RingUtilization& used) const {
  if (verdict == RingVerdict::enlarge) {
    const std::uint64_t factor = ring.has_been_enough ? 2 : 4;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(factor * used.slots, limits_.most));
  }
  if (verdict != RingVerdict::shrink || !is_clean(runs_.back())) return used.slots;
  return std::min(used.slots, std::max(ring.least, slots_for(occupied(used), limits_)));
}

Setting Tuner::follow_rule(const Measurement& run) const {
  Setting setting = run.setting;
  setting.config_slots = wanted(config_, judge_config_ring(run), run.config_ring);
  setting.telemetry_slots = wanted(telemetry_, judge_telemetry_ring(run), run.telemetry_ring);
  if (setting.telemetry_policy == TelemetryPolicy::block) {
    // A config holds the slot of its telemetry from when it is queued.
    const double in_flight = occupied(run.config_ring) + occupied(run.telemetry_ring);
    setting.telemetry_slots =
        std::max({setting.telemetry_slots, setting.config_slots,
                  std::min(run.setting.telemetry_slots, slots_for(in_flight, limits_))});
  }
  return setting;
}

/// Than the smallest so far, if that is as fast as any.
Setting Tuner::smaller() const {
  const Measurement& smallest = *std::min_element(
      runs_.begin(), runs_.end(),
      [](const auto& a, const auto& b) { return slots_of(a.setting) < slots_of(b.setting); });
  Setting setting = smallest.setting;
  if (smallest.per_second < as_fast * fastest(runs_)) return setting;
  setting.config_slots = std::max(setting.config_slots / 4, limits_.least);
  setting.telemetry_slots = std::max(setting.telemetry_slots / 4, limits_.least);
  return setting;
}

/// Nothing was clean so far, and the last run was not faster than a smaller one, or cannot be
/// enlarged.
bool Tuner::enlarging_is_vain() const {
  if (std::any_of(runs_.begin(), runs_.end(), is_clean)) return false;
  const Measurement& last = runs_.back();
  const bool is_faster =
      runs_.size() == 1 || as_fast * last.per_second > runs_[runs_.size() - 2].per_second;
  const bool is_largest = is_tried(follow_rule(last));
  return !is_faster || (is_largest && runs_.size() == 1);
}

bool Tuner::is_tried(const Setting& setting) const {
  return std::any_of(runs_.begin(), runs_.end(), [&](const Measurement& run) {
    return run.setting.config_slots == setting.config_slots &&
           run.setting.telemetry_slots == setting.telemetry_slots;
  });
}

}  // namespace aatgs
