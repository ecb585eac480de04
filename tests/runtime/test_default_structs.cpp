// SPDX-License-Identifier: Apache-2.0
// Offsets and values that users of the earlier system rely on; written out here by hand.
#include <doctest/doctest.h>

#include <aatgs/runtime/kernel_telemetry.hpp>
#include <aatgs/runtime/runtime_config.hpp>
#include <cstdint>
#include <cstring>

namespace aatgs {
namespace {

template <class Struct, class T>
std::ptrdiff_t offset(T Struct::*member) {
  const Struct s;
  return reinterpret_cast<const char*>(&(s.*member)) - reinterpret_cast<const char*>(&s);
}

/// Field, its offset, and what `production()` sets.
template <class T>
void check_field(T RuntimeConfig::*member, std::ptrdiff_t where, T production) {
  CAPTURE(where);
  CHECK(offset(member) == where);
  CHECK(RuntimeConfig::production().*member == production);
}
void check_array(float (RuntimeConfig::*member)[8], std::ptrdiff_t where,
                 const float (&production)[8]) {
  CAPTURE(where);
  CHECK(offset(member) == where);
  const RuntimeConfig config = RuntimeConfig::production();
  for (int i = 0; i < 8; ++i) CHECK((config.*member)[i] == production[i]);
}

TEST_CASE("RuntimeConfig: a field has moved, or production() has another value") {
  using C = RuntimeConfig;
  check_field(&C::stress_weight, 0, 0.45F);
  check_field(&C::persistence_weight, 4, 0.35F);
  check_field(&C::belief_weight, 8, 0.20F);
  check_field(&C::hotspot_multiplier, 12, 2.5F);
  check_array(&C::tau_decay, 16, {0.95F, 0.90F, 0.85F, 0.80F, 0.75F, 0.70F, 0.65F, 0.60F});
  check_array(&C::branch_weights, 48, {0.20F, 0.18F, 0.16F, 0.14F, 0.12F, 0.10F, 0.06F, 0.04F});
  check_field(&C::reservoir_leak_rate, 80, 0.1F);
  check_field(&C::spectral_radius, 84, 0.95F);
  check_field(&C::input_scaling, 88, 1.0F);
  check_field(&C::reservoir_sparsity, 92, 0.15F);
  check_field(&C::num_levels, 96, 4);
  check_field(&C::coarsening_ratio, 100, 0.5F);
  check_field(&C::restriction_weight, 104, 0.7F);
  check_field(&C::prolongation_weight, 108, 0.8F);
  check_field(&C::pre_smooth_iterations, 112, 2);
  check_field(&C::post_smooth_iterations, 116, 2);
  check_field(&C::tunneling_prob_base, 120, 0.01F);
  check_field(&C::tunneling_prob_boost, 124, 1.5F);
  check_field(&C::chemical_potential, 128, 1.0F);
  check_field(&C::transverse_field, 132, 0.5F);
  check_field(&C::interference_decay, 136, 0.95F);
  check_field(&C::num_quantum_states, 140, 64);
  check_array(&C::temperatures, 144, {1.0F, 1.5F, 2.0F, 3.0F, 4.5F, 6.5F, 9.5F, 14.0F});
  check_field(&C::num_replicas, 176, 8);
  check_field(&C::swap_interval, 180, 10);
  check_field(&C::swap_probability, 184, 0.3F);
  check_field(&C::betti_0_threshold, 188, 0.5F);
  check_field(&C::betti_1_threshold, 192, 0.3F);
  check_field(&C::betti_2_threshold, 196, 0.2F);
  check_field(&C::persistence_threshold, 200, 0.1F);
  check_field(&C::stability_window, 204, 20);
  check_field(&C::transition_sensitivity, 208, 0.15F);
  check_field(&C::free_energy_threshold, 212, 0.01F);
  check_field(&C::belief_update_rate, 216, 0.3F);
  check_field(&C::precision_weight, 220, 1.5F);
  check_field(&C::policy_temperature, 224, 1.0F);
  check_field(&C::iteration, 228, 0);
  check_field(&C::phase_id, 232, 0);
  check_field(&C::global_temperature, 236, 1.0F);
  check_field(&C::learning_rate, 240, 0.001F);
  check_field(&C::exploration_rate, 244, 0.1F);
  check_field(&C::flags, 248, 0);
  CHECK(sizeof(C) == 256);
}

TEST_CASE("RuntimeConfig, KernelTelemetry: a default one is not all zero") {
  const unsigned char zeros[256] = {};
  const RuntimeConfig config;
  const KernelTelemetry telemetry;
  CHECK(std::memcmp(&config, zeros, sizeof(config)) == 0);
  CHECK(std::memcmp(&telemetry, zeros, sizeof(telemetry)) == 0);
}

TEST_CASE("RuntimeConfig: a flag has another bit, or setting one changes another") {
  const ConfigFlag flags[] = {ConfigFlag::quantum,
                              ConfigFlag::phase_transition_predictor,
                              ConfigFlag::dendritic_reservoir,
                              ConfigFlag::tempering,
                              ConfigFlag::active_inference,
                              ConfigFlag::multigrid,
                              ConfigFlag::adaptive_learning,
                              ConfigFlag::warm_start};
  for (int i = 0; i < 8; ++i) {
    CHECK(static_cast<int>(flags[i]) == 1 << i);
    RuntimeConfig config;
    config.flags = 0b1010'0101;
    const int others = config.flags & ~(1 << i);
    config.set(flags[i]);
    CHECK(config.has(flags[i]));
    CHECK(config.flags == (others | 1 << i));
    config.set(flags[i], false);
    CHECK_FALSE(config.has(flags[i]));
    CHECK(config.flags == others);
  }
}

TEST_CASE("KernelTelemetry: a field has moved") {
  using T = KernelTelemetry;
  CHECK(offset(&T::conflicts) == 0);
  CHECK(offset(&T::colors_used) == 4);
  CHECK(offset(&T::moves_applied) == 8);
  CHECK(offset(&T::tunneling_events) == 12);
  CHECK(offset(&T::phase_transitions) == 16);
  CHECK(offset(&T::betti_numbers) == 20);
  CHECK(offset(&T::reservoir_activity) == 32);
  CHECK(offset(&T::free_energy) == 36);
  CHECK(offset(&T::best_replica) == 40);
  CHECK(offset(&T::iteration_time_us) == 44);
  CHECK(offset(&T::padding) == 48);
  CHECK(sizeof(T) == 64);
}

}  // namespace
}  // namespace aatgs
