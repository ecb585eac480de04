// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/step.hpp>
#include <aatgs/runtime/task.hpp>
#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace aatgs {

/// Whether tasks of a step may spawn others: unless it says `static constexpr bool spawns = false`.
template <class Step>
constexpr bool may_spawn() {
  if constexpr (requires { Step::spawns; }) {
    return Step::spawns;
  } else {
    return true;
  }
}

/// Whether a step of tasks gives a result: it has a type `Result`.
template <class Step>
concept HasResult = requires {
  typename Step::Result;
};

/// Whether a step has hooks (`enter`, `leave`) for such groups.
template <class Step, class Group>
concept HasHooks = requires(const Step& step, Group& group) {
  step.enter(group);
}
|| requires(const Step& step, Group& group) {
  step.leave(group);
};

namespace detail {

template <class Step>
constexpr std::uint32_t result_pieces() {
  if constexpr (HasResult<Step>) {
    return pieces_for(sizeof(typename Step::Result));
  } else {
    return 0;
  }
}

template <class Step>
constexpr void require_task_step() {
  require_step<Step>();
  static_assert(
      requires { typename Step::Config; },
      "AATGS: the step of a task names the type of its config: using Config = ...;");
  static_assert(std::is_trivially_copyable_v<typename Step::Config> &&
                    sizeof(typename Step::Config) <= 4096 && alignof(typename Step::Config) <= 16,
                "AATGS: the config of a task must be trivially copyable, of at most 4096 bytes and "
                "aligned to at most 16; put larger data into an aatgs::Buffer");
  if constexpr (HasResult<Step>) {
    static_assert(
        std::is_trivially_copyable_v<typename Step::Result> && alignof(typename Step::Result) <= 16,
        "AATGS: the result of a task must be trivially copyable, because it is copied as "
        "bytes, and aligned to at most 16");
  }
  static_assert(!step_grid_only<Step>(),
                "AATGS: the step of a task cannot be grid_only: one worker runs a task");
}

/// As soon as the group is known.
template <class Step, class Group>
AATGS_HOST_DEVICE constexpr void require_no_hooks() {
  static_assert(
      !HasHooks<Step, Group>,
      "AATGS: the step of a task has no enter or leave: workers go from step to step, and "
      "nobody would call them; do that work in the step itself");
}

/// A list by inheritance: a tuple of trivially copyable types need not be trivially copyable.
template <class... S>
struct StepList {};
template <class First, class... Rest>
struct StepList<First, Rest...> : StepList<Rest...> {
  First first;
  constexpr StepList() = default;
  constexpr StepList(const First& f, const Rest&... rest) : StepList<Rest...>(rest...), first(f) {}
};

}  // namespace detail

/// The steps of one scheduler, one for each type of task; a task's type is its step's place here.
/// Each names its `Config`, may name a `Result` (both trivially copyable and aligned to at most 16;
/// configs up to 4 KiB), and is called as
///
///     template <class Group>
///     AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const;
///     AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Result& out) const;
///
/// with a `TaskGroup`. A step with a `Result` is for tasks of a graph and cannot be spawned: nobody
/// could ask for the result. `block_threads`, `blocks_per_sm` and `scratch_bytes()` are as in any
/// step; workers are as wide as the widest of them, and so on. Hooks (`enter`, `leave`) and
/// `grid_only` cannot be had. A step with `static constexpr bool spawns = false` cannot spawn, so
/// that graphs of such tasks can be given a fixed schedule (`TaskDispatch`).
template <class... S>
class Steps {
 public:
  static constexpr std::uint32_t count = sizeof...(S);
  static_assert(count >= 1 && count <= most_task_types, "AATGS: 1 to 16 types of tasks");
  static constexpr unsigned block_threads = std::max({64U, step_block_threads<S>()...});
  static constexpr unsigned blocks_per_sm = std::max({step_blocks_per_sm<S>()...});
  static constexpr bool grid_sync = (step_grid_sync<S>() || ...);
  static constexpr bool writes_memory = (step_writes_memory<S>() || ...);
  static constexpr std::uint32_t config_pieces =
      std::max({pieces_for(sizeof(typename S::Config))...});
  static constexpr std::uint32_t result_pieces = std::max({detail::result_pieces<S>()...});
  /// A bit for each type whose tasks may spawn others.
  static constexpr std::uint32_t spawning = [] {
    std::uint32_t bits = 0;
    std::uint32_t bit = 1;
    ((bits |= may_spawn<S>() ? bit : 0, bit *= 2), ...);
    return bits;
  }();

  constexpr Steps() = default;
  constexpr explicit Steps(const S&... steps) requires(sizeof...(S) > 0) : list_(steps...) {
    (detail::require_task_step<S>(), ...);
  }

  template <class Step>
  static constexpr std::uint8_t type_of() {
    static_assert((std::is_same_v<Step, S> || ...), "AATGS: no step of this scheduler");
    int type = 0;
    (void)((std::is_same_v<Step, S> || (++type, false)) || ...);
    return static_cast<std::uint8_t>(type);
  }

  /// Pieces of a config of that type.
  AATGS_HOST_DEVICE static constexpr std::uint32_t config_pieces_of(std::uint32_t type) {
    // A table would lie in local memory, a trip to the L2 cache away after each fence.
    std::uint32_t pieces = 0;
    std::uint32_t i = 0;
    ((pieces = i++ == type ? pieces_for(sizeof(typename S::Config)) : pieces), ...);
    return pieces;
  }

  [[nodiscard]] std::size_t scratch_bytes() const { return most_scratch(list_); }

  /// Calls `body(step)` with the step of that type.
  template <class Body>
  AATGS_HOST_DEVICE void visit(std::uint32_t type, const Body& body) const {
    visit_in(list_, type, body);
  }

 private:
  template <class First, class... Rest>
  static std::size_t most_scratch(const detail::StepList<First, Rest...>& list) {
    std::size_t most = step_scratch_bytes(list.first);
    if constexpr (sizeof...(Rest) > 0) {
      most = std::max(most, most_scratch(static_cast<const detail::StepList<Rest...>&>(list)));
    }
    return most;
  }

  AATGS_NO_EXEC_CHECK template <class Body, class First, class... Rest>
  AATGS_HOST_DEVICE static void visit_in(const detail::StepList<First, Rest...>& list,
                                         std::uint32_t type, const Body& body) {
    if (type == 0) {
      body(list.first);
    } else if constexpr (sizeof...(Rest) > 0) {
      visit_in(static_cast<const detail::StepList<Rest...>&>(list), type - 1, body);
    }
  }

  detail::StepList<S...> list_;
};

}  // namespace aatgs
