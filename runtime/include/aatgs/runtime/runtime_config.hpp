// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cstdint>
#include <type_traits>

namespace aatgs {

/// Bits of `RuntimeConfig::flags`: which parts of a solver are on.
enum class ConfigFlag : std::int32_t {
  quantum = 1 << 0,
  phase_transition_predictor = 1 << 1,
  dendritic_reservoir = 1 << 2,
  tempering = 1 << 3,
  active_inference = 1 << 4,
  multigrid = 1 << 5,
  adaptive_learning = 1 << 6,
  warm_start = 1 << 7,
};

/// The default config, 256 bytes: one iteration's parameters for every phase of the colouring
/// solvers. A default-constructed one is all zero; `production()` has the values to start from.
/// Ranges are what the solvers accept; the runtime itself only carries the bytes.
struct RuntimeConfig {
  // WHCR, wavelet-hierarchical conflict repair
  float stress_weight = 0;       ///< weight of the stress heuristic, >= 0
  float persistence_weight = 0;  ///< weight of colour persistence, >= 0
  float belief_weight = 0;       ///< weight of belief signals, >= 0
  float hotspot_multiplier = 0;  ///< factor on the priority of hotspots, >= 1

  // Dendritic reservoir
  float tau_decay[8] = {};        ///< decay of each branch per step, 0 to 1
  float branch_weights[8] = {};   ///< weight of each branch, sum 1
  float reservoir_leak_rate = 0;  ///< leak per step, 0 to 1
  float spectral_radius = 0;      ///< of the recurrent weights, below 1 is stable
  float input_scaling = 0;        ///< factor on inputs
  float reservoir_sparsity = 0;   ///< share of non-zero recurrent weights, 0 to 1

  // Multigrid
  std::int32_t num_levels = 0;              ///< levels of the hierarchy, the finest included
  float coarsening_ratio = 0;               ///< coarse over fine size per level, 0 to 1
  float restriction_weight = 0;             ///< weight of restriction, 0 to 1
  float prolongation_weight = 0;            ///< weight of prolongation, 0 to 1
  std::int32_t pre_smooth_iterations = 0;   ///< sweeps before restriction
  std::int32_t post_smooth_iterations = 0;  ///< sweeps after prolongation

  // Quantum
  float tunneling_prob_base = 0;        ///< probability of a tunnelling move, 0 to 1
  float tunneling_prob_boost = 0;       ///< factor on it when stalled, >= 1
  float chemical_potential = 0;         ///< price of a colour
  float transverse_field = 0;           ///< strength of the transverse field, >= 0
  float interference_decay = 0;         ///< decay of interference per step, 0 to 1
  std::int32_t num_quantum_states = 0;  ///< replicas in superposition

  // Parallel tempering
  float temperatures[8] = {};      ///< temperature of each replica, ascending
  std::int32_t num_replicas = 0;   ///< replicas in use, 0 to 8
  std::int32_t swap_interval = 0;  ///< steps between swaps
  float swap_probability = 0;      ///< chance that a swap is tried, 0 to 1

  // Phase-transition predictor
  float betti_0_threshold = 0;        ///< on components, normalised
  float betti_1_threshold = 0;        ///< on loops, normalised
  float betti_2_threshold = 0;        ///< on voids, normalised
  float persistence_threshold = 0;    ///< shortest life that counts
  std::int32_t stability_window = 0;  ///< steps looked back on
  float transition_sensitivity = 0;   ///< change that counts as a transition

  // Active inference
  float free_energy_threshold = 0;  ///< free energy below which beliefs have settled
  float belief_update_rate = 0;     ///< step of a belief update, 0 to 1
  float precision_weight = 0;       ///< weight of the likelihood
  float policy_temperature = 0;     ///< softmax temperature of the policy, > 0

  // Control
  std::int32_t iteration = 0;    ///< number of this iteration, from 0
  std::int32_t phase_id = 0;     ///< phase of the pipeline, 0 to 6
  float global_temperature = 0;  ///< factor on all temperatures, > 0
  float learning_rate = 0;       ///< step of adaptive parameters
  float exploration_rate = 0;    ///< share of random moves, 0 to 1
  std::int32_t flags = 0;        ///< `ConfigFlag` bits

  std::int32_t padding = 0;  ///< to 256 bytes, zero

  [[nodiscard]] AATGS_HOST_DEVICE bool has(ConfigFlag flag) const {
    return (flags & static_cast<std::int32_t>(flag)) != 0;
  }

  AATGS_HOST_DEVICE void set(ConfigFlag flag, bool on = true) {
    const auto bit = static_cast<std::int32_t>(flag);
    flags = on ? (flags | bit) : (flags & ~bit);
  }

  /// The values that the solvers start from.
  [[nodiscard]] static RuntimeConfig production();
};

static_assert(std::is_trivially_copyable_v<RuntimeConfig>);

inline RuntimeConfig RuntimeConfig::production() {
  RuntimeConfig c;
  c.stress_weight = 0.45F;
  c.persistence_weight = 0.35F;
  c.belief_weight = 0.20F;
  c.hotspot_multiplier = 2.5F;
  const float weights[8] = {0.20F, 0.18F, 0.16F, 0.14F, 0.12F, 0.10F, 0.06F, 0.04F};
  const float temperatures[8] = {1.0F, 1.5F, 2.0F, 3.0F, 4.5F, 6.5F, 9.5F, 14.0F};
  for (int i = 0; i < 8; ++i) {
    c.tau_decay[i] = static_cast<float>(95 - 5 * i) / 100.0F;
    c.branch_weights[i] = weights[i];
    c.temperatures[i] = temperatures[i];
  }
  c.reservoir_leak_rate = 0.1F;
  c.spectral_radius = 0.95F;
  c.input_scaling = 1.0F;
  c.reservoir_sparsity = 0.15F;
  c.num_levels = 4;
  c.coarsening_ratio = 0.5F;
  c.restriction_weight = 0.7F;
  c.prolongation_weight = 0.8F;
  c.pre_smooth_iterations = 2;
  c.post_smooth_iterations = 2;
  c.tunneling_prob_base = 0.01F;
  c.tunneling_prob_boost = 1.5F;
  c.chemical_potential = 1.0F;
  c.transverse_field = 0.5F;
  c.interference_decay = 0.95F;
  c.num_quantum_states = 64;
  c.num_replicas = 8;
  c.swap_interval = 10;
  c.swap_probability = 0.3F;
  c.betti_0_threshold = 0.5F;
  c.betti_1_threshold = 0.3F;
  c.betti_2_threshold = 0.2F;
  c.persistence_threshold = 0.1F;
  c.stability_window = 20;
  c.transition_sensitivity = 0.15F;
  c.free_energy_threshold = 0.01F;
  c.belief_update_rate = 0.3F;
  c.precision_weight = 1.5F;
  c.policy_temperature = 1.0F;
  c.global_temperature = 1.0F;
  c.learning_rate = 0.001F;
  c.exploration_rate = 0.1F;
  return c;
}

static_assert(sizeof(RuntimeConfig) == 256 && alignof(RuntimeConfig) == 4);

}  // namespace aatgs
