// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace aatgs::bench {

/// One way to get configs to the GPU and telemetry back.
template <class Config, class Telemetry>
class Road {
 public:
  Road() = default;
  Road(const Road&) = delete;
  Road& operator=(const Road&) = delete;
  virtual ~Road() = default;

  /// Takes the next config; tickets count from 0. A road that bundles configs may wait for the rest
  /// of a bundle before it starts them.
  virtual void submit(const Config& config) = 0;
  /// One telemetry and the ticket it belongs to. False: none there yet.
  virtual bool collect(std::uint64_t& ticket, Telemetry& telemetry) = 0;
  /// Whether it will go on as it does now; false while it still tries out ways.
  [[nodiscard]] virtual bool is_settled() const { return true; }
  /// Why it goes as it does, where it has a choice.
  [[nodiscard]] virtual std::string reason() const { return {}; }
  /// When everything has been collected: throws if a step failed.
  virtual void finish() = 0;
};

}  // namespace aatgs::bench
