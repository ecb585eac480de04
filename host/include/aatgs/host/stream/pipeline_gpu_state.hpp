// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/run_metric.hpp>
#include <aatgs/host/stream/stream.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs {

/// How the phases of a solver share its streams.
enum class StreamMode {
  sequential,  ///< all in one stream, in the order in which they are queued
  parallel,    ///< each in its own; those that need each other say so with `wait`
};
std::string_view to_string(StreamMode mode);
/// Parses what `to_string` prints. Throws `OptionError` that lists the choices.
StreamMode parse_stream_mode(std::string_view text);

/// The table [gpu] of a configuration file has `stream_mode` and `streams`, and `device_id`, by
/// which the device is made.
struct PipelineGpuOptions {
  StreamMode stream_mode = StreamMode::parallel;
  /// Of `parallel`, up to 64, which phases share by turns; 0: one for each phase.
  unsigned streams = 0;
  std::vector<std::string> phases{};  ///< the solver's own, besides those of namespace `phase`
};

/// The streams of a solver's phases: each phase has the same one from beginning to end, whoever
/// asks first. Made once. Thread-safe, but for `wait`, which belongs to one thread at a time.
class PipelineGpuState {
 public:
  /// Throws `OptionError`, `DeviceError`.
  explicit PipelineGpuState(std::shared_ptr<StreamDevice> device, PipelineGpuOptions options = {});
  PipelineGpuState(PipelineGpuState&&) noexcept = default;
  PipelineGpuState& operator=(PipelineGpuState&&) = delete;

  /// Throws `UseError` that lists the phases if it is none of them.
  [[nodiscard]] Stream& stream(std::string_view phase);
  /// From 0; phases that share a stream have the same.
  [[nodiscard]] std::size_t stream_number(std::string_view phase) const;
  /// What later is queued of `phase` waits on the device for all that is queued of `earlier`.
  void wait(std::string_view phase, std::string_view earlier);
  /// Where a phase runs, for its records.
  [[nodiscard]] PhaseExecution execution(std::string_view phase) const;

  /// The host waits for all phases; throws what `Stream::synchronize` does, after having waited for
  /// the others.
  void synchronize(std::chrono::nanoseconds deadline = std::chrono::seconds(60));

  [[nodiscard]] StreamMode mode() const noexcept { return options_.stream_mode; }
  [[nodiscard]] std::size_t stream_count() const noexcept { return streams_.size(); }
  [[nodiscard]] const std::vector<std::string>& phases() const noexcept { return phases_; }

 private:
  std::shared_ptr<StreamDevice> device_;
  PipelineGpuOptions options_;
  std::vector<std::string> phases_;
  std::vector<Stream> streams_;
  Event reached_;  ///< of `wait`
};

}  // namespace aatgs
