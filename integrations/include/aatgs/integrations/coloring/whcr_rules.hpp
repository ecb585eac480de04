// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/integrations/coloring/counter_hash.hpp>
#include <aatgs/runtime/platform.hpp>
#include <aatgs/runtime/runtime_config.hpp>
#include <cstdint>

namespace aatgs::coloring {

/// A move that a vertex would like to make, packed so that the greater number is the better wish:
/// priority, then hash; 0 is no wish.
///     bits 63..33 priority | 32..17 hash | 16..1 color | 0 may be made without being the best
struct WhcrWish {
  static constexpr std::int32_t gain_unit = 1024;  ///< one conflict less, in units of priority

  AATGS_HOST_DEVICE static std::uint64_t pack(std::int32_t priority, std::uint64_t hash,
                                              std::uint32_t color, bool free) {
    constexpr std::int64_t always_positive = std::int64_t{1} << 30;
    return static_cast<std::uint64_t>(priority + always_positive) << 33 | (hash & 0xFFFF) << 17 |
           std::uint64_t{color} << 1 | (free ? 1U : 0U);
  }
  AATGS_HOST_DEVICE static std::uint32_t color(std::uint64_t wish) { return wish >> 1 & 0xFFFF; }
  AATGS_HOST_DEVICE static bool is_free(std::uint64_t wish) { return (wish & 1) != 0; }
};

/// What a slice takes from its RuntimeConfig, as whole numbers: so that every executor takes the
/// same decisions.
struct WhcrRules {
  static constexpr std::uint32_t tenure_spread = 10;   ///< as in TabuCol
  static constexpr std::uint32_t tenure_limit = 100;   ///< a big graph has its conflicts far apart
  static constexpr std::int32_t belief_unit = 1 << 8;  ///< of the weights below

  std::uint32_t coarse_iterations;  ///< first part of the slice: coarse details count
  std::uint32_t iterations;         ///< of the slice
  std::uint32_t levels;             ///< of the hierarchy that count
  std::int32_t belief_weight;       ///< of a detail, relative to stress
  std::int32_t hotspot_weight;      ///< the same in a hotspot
  std::uint32_t free_chance;        ///< of 2^24, for moves that gain nothing
  float persistence;                ///< tenure per end of a conflict

  AATGS_HOST_DEVICE explicit WhcrRules(const RuntimeConfig& config)
      : coarse_iterations(whole(static_cast<float>(config.pre_smooth_iterations), 1 << 30)),
        iterations(coarse_iterations +
                   whole(static_cast<float>(config.post_smooth_iterations), 1 << 30)),
        levels(whole(static_cast<float>(config.num_levels), 64)),
        belief_weight(relative(config.belief_weight, config.stress_weight)),
        hotspot_weight(
            relative(config.belief_weight * config.hotspot_multiplier, config.stress_weight)),
        free_chance(whole(config.exploration_rate * (1 << 24), 1 << 24)),
        persistence(config.persistence_weight) {}

  /// Details decide among equal gains only: they weigh less than half a conflict between them.
  AATGS_HOST_DEVICE std::int32_t belief(std::int32_t detail, bool hotspot, std::int32_t one) const {
    constexpr std::int64_t limit = WhcrWish::gain_unit / 4 - 1;
    const std::int64_t weight = hotspot ? hotspot_weight : belief_weight;
    const std::int64_t value = detail * weight * WhcrWish::gain_unit / belief_unit / one;
    return static_cast<std::int32_t>(value < -limit ? -limit : value > limit ? limit : value);
  }

  /// Iterations for which a vertex must not take back the color it leaves: random, and longer
  /// while there are many conflicts (Galinier & Hao, J. Comb. Optim. 3, 1999).
  AATGS_HOST_DEVICE std::uint32_t tenure(std::int32_t conflicts, std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash % tenure_spread) +
           whole(persistence * (2 * static_cast<float>(conflicts)), tenure_limit);
  }

 private:
  AATGS_HOST_DEVICE static std::uint32_t whole(float value, std::uint32_t most) {
    if (!(value > 0)) return 0;
    return value < static_cast<float>(most) ? static_cast<std::uint32_t>(value) : most;
  }
  AATGS_HOST_DEVICE static std::int32_t relative(float weight, float stress) {
    return static_cast<std::int32_t>(whole(weight / stress * belief_unit, 1 << 20));
  }
};

}  // namespace aatgs::coloring
