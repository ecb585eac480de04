// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/managed_options.hpp>
#include <array>
#include <string>
#include <utility>

namespace aatgs {

namespace {

constexpr std::array step_modes = {
    std::pair{StepMode::sync, std::string_view("sync")},
    std::pair{StepMode::triple_buffered, std::string_view("triple_buffered")},
    std::pair{StepMode::resident, std::string_view("resident")}};

ExecutorKind executor_of(StepMode mode, bool host_threads) {
  switch (mode) {
    case StepMode::sync:
      return host_threads ? ExecutorKind::cpu_triple_buffer : ExecutorKind::launch;
    case StepMode::triple_buffered:
      return host_threads ? ExecutorKind::cpu_triple_buffer : ExecutorKind::triple_buffer;
    case StepMode::resident:
      return host_threads ? ExecutorKind::cpu : ExecutorKind::resident;
  }
  throw OptionError("step_mode = " + std::to_string(static_cast<int>(mode)) +
                    " is no enumerator: give one of those in host/managed_options.hpp");
}

}  // namespace

std::string_view to_string(StepMode mode) {
  for (const auto& [known, name] : step_modes) {
    if (known == mode) return name;
  }
  return "unknown";
}

StepMode parse_step_mode(std::string_view text) {
  for (const auto& [mode, name] : step_modes) {
    if (name == text) return mode;
  }
  throw OptionError("unknown step_mode '" + std::string(text) +
                    "': choose one of sync, triple_buffered, resident");
}

ContextOptions context_options(const ManagedOptions& options) {
  ContextOptions context = options.context;
  const ExecutorKind given = context.executor;
  if (options.step_mode) {
    context.executor = executor_of(*options.step_mode, options.host_threads);
    if (given != ExecutorKind::automatic && given != context.executor) {
      throw OptionError("step_mode '" + std::string(to_string(*options.step_mode)) +
                        "' with executor '" + std::string(to_string(given)) +
                        "': leave the executor at 'automatic', or the step mode empty");
    }
    // Without a second slot nothing overlaps.
    const bool is_sync = *options.step_mode == StepMode::sync;
    if (is_sync && options.host_threads) context.buffer_slots = 1;
  } else if (options.host_threads) {
    if (given == ExecutorKind::automatic) context.executor = ExecutorKind::cpu;
    if (!is_on_host(context.executor)) {
      throw OptionError("host_threads = true with executor '" + std::string(to_string(given)) +
                        "', which needs a GPU: leave one of them away");
    }
  }
  return context;
}

MemoryKind memory_of(const ManagedOptions& options) {
  const ContextOptions context = context_options(options);
  return memory_of(choose_executor(context.executor, context.device).kind);
}

}  // namespace aatgs
