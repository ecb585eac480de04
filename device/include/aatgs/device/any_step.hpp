// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace aatgs {

/// A config for one of several steps: what a context with an `AnyStep` queues.
template <class S>
struct AnyConfig {
  alignas(16) unsigned char bytes[S::config_pieces * sizeof(TaskPiece)];
  std::uint32_t type;

  template <class Step>
  static AnyConfig of(const typename Step::Config& config) {
    AnyConfig any{};
    std::memcpy(any.bytes, &config, sizeof(config));
    any.type = S::template type_of<Step>();
    return any;
  }
};

/// The result of one of several steps, as the telemetry of such a context.
template <class S>
struct AnyResult {
  alignas(16) unsigned char bytes[std::max(S::result_pieces, 1U) * sizeof(TaskPiece)];
  std::uint32_t type;

  /// Null if it is another step's.
  template <class Step>
  [[nodiscard]] const typename Step::Result* get() const {
    if (type != S::template type_of<Step>()) return nullptr;
    return reinterpret_cast<const typename Step::Result*>(bytes);
  }
};

/// Several steps as the one of a context: which of them runs, each config says, on the device. The
/// groups are the context's own, so these steps spawn nothing. `grid_sync` and `writes_memory` are
/// false if all of them say so.
///
///     auto context = make_context<AnyConfig<S>, AnyResult<S>>(AnyStep<S>{steps});
///     context.queue(AnyConfig<S>::template of<Smooth>({.sweeps = 3}));
template <class S>
struct AnyStep {
  static constexpr unsigned block_threads = S::block_threads;
  static constexpr unsigned blocks_per_sm = S::blocks_per_sm;
  static constexpr bool grid_sync = S::grid_sync;
  static constexpr bool writes_memory = S::writes_memory;
  S steps;

  [[nodiscard]] std::size_t scratch_bytes() const { return steps.scratch_bytes(); }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const AnyConfig<S>& config,
                                    AnyResult<S>& out) const {
    steps.visit(config.type, [&](const auto& step) {
      using Step = std::decay_t<decltype(step)>;
      detail::require_no_hooks<Step, Group>();
      const auto& own = *reinterpret_cast<const typename Step::Config*>(config.bytes);
      if (group.rank() == 0) out.type = config.type;
      if constexpr (HasResult<Step>) {
        step(group, own, *reinterpret_cast<typename Step::Result*>(out.bytes));
      } else {
        step(group, own);
      }
    });
  }
};

}  // namespace aatgs
