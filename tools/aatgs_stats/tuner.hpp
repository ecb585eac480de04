// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measurement.hpp"

namespace aatgs {

/// What the rule says of a ring, by its peak: 40 to 80 % is ideal; under 20 % the host should batch
/// more or the ring shrink; over 90 %, or any overflow, enlarge it.
enum class RingVerdict { shrink, fine, ideal, nearly_full, enlarge };

RingVerdict judge_config_ring(const Measurement& run);
RingVerdict judge_telemetry_ring(const Measurement& run);
/// Neither ring is to be enlarged.
bool is_clean(const Measurement& run);

/// Slots that a ring may be given; powers of two.
struct SlotLimits {
  std::uint32_t least = 4;
  std::uint32_t most = 4096;
};

/// Throws `OptionError` if the limits are no ring sizes, or crossed.
void check_limits(const SlotLimits& limits);

/// Every power of two within the limits, for both rings, from small to large.
std::vector<Setting> all_sizes(const SlotLimits& limits, const Setting& policies);

/// Of runs that come within 2 % of the fastest, as nobody could tell their speeds apart, the
/// smallest; those that are clean before those that are not. `runs` is not empty.
const Measurement& recommend(const std::vector<Measurement>& runs);

/// Of runs under different policies the fastest, or the first of those within 2 % of it. `runs` is
/// not empty.
const Measurement& first_of_fastest(const std::vector<Measurement>& runs);

/// Comes to ring sizes in few runs:
///
///     while (const auto setting = tuner.next()) tuner.add(run(*setting));
///
/// It begins with 1024 slots and follows the rule until that is content. Where no size is clean and
/// larger rings gain nothing, as when the host is always ahead of the steps, it looks for the
/// smallest that are as fast. Settles in some ten runs, as no size is run twice.
class Tuner {
 public:
  /// `policies`: those of all runs. Throws `OptionError`.
  Tuner(const SlotLimits& limits, const Setting& policies);

  /// Empty: settled.
  [[nodiscard]] const std::optional<Setting>& next() const { return next_; }
  /// What a run of `next` came to.
  void add(const Measurement& run);
  [[nodiscard]] const std::vector<Measurement>& runs() const { return runs_; }

 private:
  struct Ring {
    std::uint32_t least;   // fewer are known to be too few
    bool has_been_enough;  // once
  };

  void learn(Ring& ring, RingVerdict verdict, std::uint32_t slots) const;
  [[nodiscard]] std::uint32_t wanted(const Ring& ring, RingVerdict verdict,
                                     const RingUtilization& used) const;
  [[nodiscard]] Setting follow_rule(const Measurement& run) const;
  [[nodiscard]] Setting smaller() const;
  [[nodiscard]] bool enlarging_is_vain() const;
  [[nodiscard]] bool is_tried(const Setting& setting) const;

  SlotLimits limits_;
  std::optional<Setting> next_;
  Ring config_;
  Ring telemetry_;
  bool seeks_smaller_ = false;
  std::vector<Measurement> runs_;
};

}  // namespace aatgs
