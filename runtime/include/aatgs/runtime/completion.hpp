// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace aatgs {

/// How a config ended.
enum class CompletionStatus : std::uint32_t {
  ok = 0,
  failed = 1,  ///< the step called `group.fail(code)`
  lost = 2,    ///< telemetry dropped or overwritten, as its policy allows; `execute_batch` only
};

/// What travels through the telemetry ring; 32 bytes and the telemetry. The ticket is not in it:
/// slot and lap say which one it is.
///
/// Under the executors `launch`, `graph` and `triple_buffer`, and on streams, the time from start
/// to finish takes in the step's `enter` and `leave`; in a CUDA graph of steps it is that of block
/// 0.
template <class Telemetry>
struct CompletionRecord {
  std::uint64_t taken_ns = 0;     ///< executor's clock when the config was taken off the ring
  std::uint64_t started_ns = 0;   ///< when the step began
  std::uint64_t finished_ns = 0;  ///< when the last thread of the step was done
  CompletionStatus status = CompletionStatus::ok;
  std::uint32_t code = 0;  ///< of `fail`, 0 otherwise
  Telemetry telemetry{};
};

/// What one config came to, as the host sees it.
///
/// The times are nanoseconds of the executor's own clock (`%globaltimer` on a GPU, the steady clock
/// on a CPU): compare them with each other, not with a host clock.
template <class Telemetry>
struct Completion : CompletionRecord<Telemetry> {
  std::uint64_t ticket = 0;  ///< as `queue` returned it

  [[nodiscard]] bool ok() const { return this->status == CompletionStatus::ok; }
};

}  // namespace aatgs
