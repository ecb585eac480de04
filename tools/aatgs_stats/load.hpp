// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>

#include "measurement.hpp"

namespace aatgs {

/// The workload that `aatgs_stats` brings along. Its host queues `burst` configs, is busy with
/// something else for `burst / rate` seconds, collects what has come back, and begins again. When
/// there is no room it collects until there is, or gives the config up under `reject`.
struct Load {
  std::uint32_t step_us = 5;         ///< that one block, or CPU thread, is busy with a config
  std::uint32_t rate = 0;            ///< configs/s at most; 0: as fast as it can
  std::uint32_t burst = 1;           ///< configs
  std::uint32_t reader_us = 0;       ///< that the host is busy with a telemetry
  bool large_telemetry = false;      ///< of 4 KiB instead of 64 bytes
  std::uint32_t milliseconds = 200;  ///< that it queues
};

/// Runs it once, in this process. The executor: `resident`, `cpu`, or by `automatic` the former
/// where there is a GPU. Throws `OptionError`, `DeviceError`, `TimeoutError`.
Measurement run_load(const Load& load, const ContextOptions& options);

}  // namespace aatgs
