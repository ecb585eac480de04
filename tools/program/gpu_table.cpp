// SPDX-License-Identifier: Apache-2.0
#include "gpu_table.hpp"

#include <aatgs/host/errors.hpp>

#include "program.hpp"

namespace aatgs::program {
namespace {

/// Why a context could not have the value, or nothing.
template <class T>
std::string why_not(T ContextOptions::*member, const std::string& text) {
  ContextOptions probe;
  probe.config_slots = probe.telemetry_slots = 1;  // whatever the environment says
  if (!CLI::detail::lexical_cast(text, probe.*member)) return "'" + text + "' is too large";
  try {
    check_options(probe);
  } catch (const OptionError& e) {
    return e.what();
  }
  return {};
}

}  // namespace

template <class T>
CLI::Option* GpuTable::add(const OptionNames& names, T ContextOptions::*member,
                           const std::string& description) {
  return table_.add(names, options_.*member, description)
      ->check(whole_number())
      ->check([member](const std::string& text) { return why_not(member, text); });
}

GpuTable& GpuTable::device() {
  add({"device_id", "--device"}, &ContextOptions::device, "CUDA ordinal");
  return *this;
}

GpuTable& GpuTable::executor() {
  table_.add_choice({"executor", "--executor"}, options_.executor, parse_executor,
                    "automatic, resident, launch_queue, launch, graph, triple_buffer, cpu or "
                    "cpu_triple_buffer");
  return *this;
}

GpuTable& GpuTable::buffer_slots() {
  add({"buffer_slots", "--buffer-slots"}, &ContextOptions::buffer_slots,
      "steps that triple_buffer has on their way");
  return *this;
}

GpuTable& GpuTable::phases(PipelineGpuOptions& phases) {
  table_.add_choice({"stream_mode", "--stream-mode"}, phases.stream_mode, parse_stream_mode,
                    "sequential: all phases in one stream; parallel: each in its own");
  table_
      .add({"streams", "--streams"}, phases.streams,
           "that parallel phases share; 0: one for each phase")
      ->check(whole_number() & CLI::Range(0, 64));
  return *this;
}

GpuTable& GpuTable::scope() {
  table_.add_choice({"scope", "--scope"}, options_.scope, parse_scope,
                    "block: many searches on a small graph; grid: one search on a big one");
  return *this;
}

GpuTable& GpuTable::rings() {
  add({"config_slots", "--config-slots", config_slots_variable}, &ContextOptions::config_slots,
      "slots of the config ring");
  add({"telemetry_slots", "--telemetry-slots", telemetry_slots_variable},
      &ContextOptions::telemetry_slots, "slots of the telemetry ring");
  return *this;
}

GpuTable& GpuTable::workers() {
  add({"workers", "--workers"}, &ContextOptions::workers,
      "blocks that run steps; 0: as many as fit");
  return *this;
}

GpuTable& GpuTable::cpu_threads() {
  add({"cpu_threads", "--cpu-threads"}, &ContextOptions::cpu_threads,
      "of the cpu executor; 0: one for each hardware thread");
  return *this;
}

GpuTable& GpuTable::hot_window() {
  add({"hot_window", "--hot-window"}, &ContextOptions::hot_window,
      "block scope: workers that poll the bus at a time");
  return *this;
}

GpuTable& GpuTable::events() {
  add({"event_slots", "--event-slots"}, &ContextOptions::event_slots,
      "what each SM runs is shown in the trace, from a ring of so many events; 0: it is not");
  return *this;
}

GpuTable& GpuTable::park_after() {
  using std::chrono::milliseconds;
  constexpr std::uint64_t longest_ms = 1'000'000'000;
  std::chrono::nanoseconds& park_after = options_.park_after;
  table_
      .add_read(
          {"park_after_ms", "--park-after-ms"}, ConfigKind::integer,
          [&](const std::string& text) { park_after = milliseconds(std::stoll(text)); },
          [&] {
            const auto ms = std::chrono::duration_cast<milliseconds>(park_after);
            return std::optional(config_text(ms.count()));
          },
          "idle time after which the resident kernel leaves the GPU; 0: never")
      ->check(whole_number() & CLI::Range(std::uint64_t{0}, longest_ms))
      ->type_name("MS");
  return *this;
}

GpuTable& GpuTable::bounded() {
  table_.add({"bounded", "--bounded"}, options_.bounded,
             "the resident kernel runs what is queued and ends: for profilers and debuggers");
  return *this;
}

CLI::Validator accepted_as(std::uint32_t ContextOptions::*member) {
  return {[member](std::string& text) { return why_not(member, text); }, ""};
}

ExecutorKind parse_executor_of(std::initializer_list<ExecutorKind> these, std::string_view text) {
  std::string names;
  for (const ExecutorKind kind : these) {
    if (to_string(kind) == text) return kind;
    names += (names.empty() ? "" : ", ") + std::string(to_string(kind));
  }
  throw OptionError("executor '" + std::string(text) + "' is not for this: choose one of " + names);
}

void require_gpu(const std::string& option, int device) {
  const std::string obstacle = why_no_gpu(device);
  if (!obstacle.empty()) throw OptionError(option + " needs a GPU: " + obstacle);
}

}  // namespace aatgs::program
