// SPDX-License-Identifier: Apache-2.0
// The table [gpu] of all programs.
#pragma once

#include <aatgs/host/options.hpp>
#include <aatgs/host/stream/pipeline_gpu_state.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

#include "configuration.hpp"

namespace aatgs::program {

/// Declares options of a context, with the same names in all programs. A program calls the members
/// whose options do something in it:
///
///     GpuTable(config, options).device().executor().rings();
///
/// Values that `check_options` would refuse are refused where they are written.
class GpuTable {
 public:
  /// `options` must outlive `config`.
  GpuTable(Configuration& config, ContextOptions& options)
      : table_(config.table("gpu")), options_(options) {}

  GpuTable& device();       ///< device_id
  GpuTable& executor();     ///< executor
  GpuTable& scope();        ///< scope
  GpuTable& rings();        ///< config_slots, telemetry_slots
  GpuTable& workers();      ///< workers
  GpuTable& cpu_threads();  ///< cpu_threads
  GpuTable& hot_window();   ///< hot_window
  GpuTable& park_after();   ///< park_after_ms
  GpuTable& bounded();      ///< bounded
  GpuTable& events();       ///< event_slots
  GpuTable& buffer_slots();
  GpuTable& phases(PipelineGpuOptions& phases);  ///< stream_mode, streams; must outlive `config`

 private:
  template <class T>
  CLI::Option* add(const OptionNames& names, T ContextOptions::*member,
                   const std::string& description);

  Configuration::Table table_;
  ContextOptions& options_;
};

/// Accepts a number that a context can have as this option.
CLI::Validator accepted_as(std::uint32_t ContextOptions::*member);

/// The executor of that name, for a program that takes these only. Throws OptionError with all.
ExecutorKind parse_executor_of(std::initializer_list<ExecutorKind> these, std::string_view text);

/// For an option that does nothing without a GPU: OptionError where there is none.
void require_gpu(const std::string& option, int device);

}  // namespace aatgs::program
