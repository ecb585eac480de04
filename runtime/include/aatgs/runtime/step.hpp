// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <type_traits>

namespace aatgs {

// A step is a trivially copyable type with
//
//     template <class Group>
//     AATGS_HOST_DEVICE void operator()(Group& group, const Config& config, Telemetry& out) const;
//
// which all threads of the group call together; `out` is that of the thread with rank 0. (Steps of
// tasks are called otherwise: see `Steps`.) It may have these, too, which workers call when they
// come to the GPU, before their first config, and when they leave, as they do to park:
//
//     template <class Group>
//     AATGS_HOST_DEVICE void enter(Group& group) const;
//     template <class Group>
//     AATGS_HOST_DEVICE void leave(Group& group) const;
//
// No config is at work then: `group.ticket()` means nothing, and a `group.fail` is lost or fails
// another config. Executors that launch each step call both around each.

/// Threads per block that a step asks for: its `block_threads`, or 256.
template <class Step>
constexpr unsigned step_block_threads() {
  if constexpr (requires { Step::block_threads; }) {
    static_assert(
        Step::block_threads >= 32 && Step::block_threads <= 1024 && Step::block_threads % 32 == 0,
        "AATGS: block_threads must be a multiple of 32 from 32 to 1024");
    return Step::block_threads;
  } else {
    return 256;
  }
}

/// Blocks of the step that an SM must have registers for in a resident kernel: its `blocks_per_sm`,
/// or 1. More workers fit an SM if each has fewer registers; too few, and values spill.
template <class Step>
constexpr unsigned step_blocks_per_sm() {
  if constexpr (requires { Step::blocks_per_sm; }) {
    static_assert(Step::blocks_per_sm >= 1 && Step::blocks_per_sm <= 32,
                  "AATGS: blocks_per_sm must be from 1 to 32");
    return Step::blocks_per_sm;
  } else {
    return 1;
  }
}

/// Scratch bytes per block that a step asks for: its `scratch_bytes()`, or 0.
template <class Step>
constexpr std::size_t step_scratch_bytes(const Step& step) {
  if constexpr (requires { step.scratch_bytes(); }) {
    return step.scratch_bytes();
  } else {
    return 0;
  }
}

/// Whether a step may wait for the whole grid (`sync`, `reduce`, `broadcast` in grid scope): its
/// `grid_sync`, or true. Steps that never do can run without a cooperative launch.
template <class Step>
constexpr bool step_grid_sync() {
  if constexpr (requires { Step::grid_sync; }) {
    return Step::grid_sync;
  } else {
    return true;
  }
}

/// Whether a step writes memory that other steps, or copies to the host, read, besides its
/// telemetry: its `writes_memory`, or true. In block scope one that does not is spared the fence
/// before its telemetry. What `enter` and `leave` write does not count. That fence is the GPU's:
/// for mapped memory, which the host reads itself, see `MemoryKind::mapped`.
template <class Step>
constexpr bool step_writes_memory() {
  if constexpr (requires { Step::writes_memory; }) {
    return Step::writes_memory;
  } else {
    return true;
  }
}

/// Whether a step is for grid scope alone: its `grid_only`, or false.
template <class Step>
constexpr bool step_grid_only() {
  if constexpr (requires { Step::grid_only; }) {
    return Step::grid_only;
  } else {
    return false;
  }
}

/// Explains at compile time why `Step` cannot be carried to an executor.
template <class Step>
constexpr void require_step() {
  static_assert(std::is_trivially_copyable_v<Step>,
                "AATGS: a step must be trivially copyable, because it is passed to the GPU as "
                "bytes; hold raw pointers from aatgs::Buffer in it, not the buffers");
}

}  // namespace aatgs
