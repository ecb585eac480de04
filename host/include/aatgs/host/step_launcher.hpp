// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream_device.hpp>
#include <aatgs/runtime/completion.hpp>
#include <cstdint>
#include <string>

namespace aatgs {

/// A config as it goes with the stream.
template <class Config>
struct StepInput {
  Config config;
  std::uint64_t ticket;
};

/// Runs steps in streams, for one port of a context: on a GPU by a plain launch each, on host
/// threads at once. One launch after the other, in one stream.
template <class Config, class Telemetry>
class StepLauncher {
 public:
  StepLauncher() = default;
  StepLauncher(const StepLauncher&) = delete;
  StepLauncher& operator=(const StepLauncher&) = delete;
  virtual ~StepLauncher() = default;

  /// Both on the device's side. Throws `DeviceError`.
  virtual void launch(StreamTarget target, const StepInput<Config>* input,
                      CompletionRecord<Telemetry>* record) = 0;
  /// Where it runs, for a person.
  [[nodiscard]] virtual std::string description() const = 0;

  // For all ports of the context, from any thread:
  virtual void end() = 0;
  [[nodiscard]] virtual bool has_ended() const = 0;
  /// Ends it; steps at work hear of it if they ask `stop_requested`.
  virtual void request_abort() = 0;

  /// Where a wait of the device was given up, as a sentence that follows another; or nothing.
  [[nodiscard]] virtual std::string wedged() const { return {}; }
  /// Its memory is left to a step that cannot be ended.
  virtual void abandon() noexcept {}
};

}  // namespace aatgs
