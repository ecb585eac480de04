// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/options.hpp>
#include <aatgs/runtime/port.hpp>
#include <array>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace aatgs {

namespace {

constexpr std::array executor_names = {
    std::pair{ExecutorKind::automatic, std::string_view("automatic")},
    std::pair{ExecutorKind::resident, std::string_view("resident")},
    std::pair{ExecutorKind::launch_queue, std::string_view("launch_queue")},
    std::pair{ExecutorKind::graph_queue, std::string_view("graph_queue")},
    std::pair{ExecutorKind::launch, std::string_view("launch")},
    std::pair{ExecutorKind::graph, std::string_view("graph")},
    std::pair{ExecutorKind::triple_buffer, std::string_view("triple_buffer")},
    std::pair{ExecutorKind::cpu, std::string_view("cpu")},
    std::pair{ExecutorKind::cpu_triple_buffer, std::string_view("cpu_triple_buffer")}};

constexpr std::array scope_names = {std::pair{Scope::block, std::string_view("block")},
                                    std::pair{Scope::grid, std::string_view("grid")}};

template <class Names, class Value>
std::string_view name_of(const Names& names, Value value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "unknown";
}

template <class Names>
auto parse(const Names& names, std::string_view what, std::string_view text) {
  std::string choices;
  for (const auto& [value, name] : names) {
    if (name == text) return value;
    choices += (choices.empty() ? "" : ", ") + std::string(name);
  }
  throw OptionError("unknown " + std::string(what) + " '" + std::string(text) +
                    "': choose one of " + choices);
}

/// Whose fault it is, if a bad number of slots is what an environment variable comes to.
std::string blame_environment(const char* variable, std::uint32_t slots) {
  const char* value = std::getenv(variable);
  if (value == nullptr || ring_slots_from_environment(variable) != slots) return {};
  return "; the environment sets " + std::string(variable) + "='" + value + "'";
}

void check_ring(std::string_view name, const char* variable, std::uint32_t slots) {
  if (is_ring_size(slots)) return;
  throw OptionError(std::string(name) + " = " + std::to_string(slots) +
                    " is not a power of two from 1 to " + std::to_string(max_ring_slots) +
                    ": choose one, such as 1024" + blame_environment(variable, slots));
}

void check_event_slots(std::uint32_t slots) {
  constexpr std::uint32_t least = 1024;
  constexpr std::uint32_t most = 1U << 26;
  if (slots == 0 || (std::has_single_bit(slots) && slots >= least && slots <= most)) return;
  throw OptionError("event_slots = " + std::to_string(slots) +
                    " is neither 0 nor a power of two from " + std::to_string(least) + " to " +
                    std::to_string(most) + ": choose one, such as 65536");
}

void check_duration(std::string_view name, std::chrono::nanoseconds value) {
  if (value.count() >= 0) return;
  throw OptionError(std::string(name) + " = " + std::to_string(value.count()) +
                    " ns is negative: give a duration of 0 or more");
}

/// An enum class holds any int that a program casts to it.
template <class Enum>
void check_enumerator(std::string_view name, Enum value, Enum last) {
  if (value >= Enum{} && value <= last) return;
  throw OptionError(std::string(name) + " = " + std::to_string(static_cast<std::int64_t>(value)) +
                    " is no enumerator: give one of those in host/options.hpp");
}

/// It runs what other executors run in more ways.
void check_graph_queue(const ContextOptions& options) {
  if (options.executor != ExecutorKind::graph_queue) return;
  if (options.scope != Scope::grid) {
    throw OptionError(
        "executor = graph_queue in block scope: its graphs run steps of all SMs, give Scope::grid "
        "or name launch_queue");
  }
  if (options.telemetry_policy != TelemetryPolicy::block) {
    throw OptionError(
        "executor = graph_queue with a lossy telemetry_policy: it keeps all telemetry, give "
        "TelemetryPolicy::block or name launch_queue");
  }
}

}  // namespace

std::uint32_t ring_slots_from_environment(const char* variable) noexcept {
  constexpr std::uint32_t by_default = 1024;
  const char* value = std::getenv(variable);
  if (value == nullptr) return by_default;
  const std::string_view digits = value;
  std::uint32_t slots = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), slots);
  return error == std::errc() && end == digits.data() + digits.size() ? slots : 0;
}

void check_options(const ContextOptions& options) {
  check_enumerator("executor", options.executor, ExecutorKind::cpu_triple_buffer);
  check_enumerator("scope", options.scope, Scope::grid);
  check_enumerator("config_policy", options.config_policy, ConfigPolicy::reject);
  check_enumerator("telemetry_policy", options.telemetry_policy, TelemetryPolicy::overwrite_oldest);
  check_ring("config_slots", config_slots_variable, options.config_slots);
  check_ring("telemetry_slots", telemetry_slots_variable, options.telemetry_slots);
  check_event_slots(options.event_slots);
  check_duration("queue_deadline", options.queue_deadline);
  check_duration("park_after", options.park_after);
  if (options.step_deadline.count() <= 0) {
    throw OptionError("step_deadline = " + std::to_string(options.step_deadline.count()) +
                      " ns: every device wait needs a deadline, give one above 0");
  }
  if (options.start_deadline.count() <= 0) {
    throw OptionError("start_deadline = " + std::to_string(options.start_deadline.count()) +
                      " ns: a launch needs time to start, give more than 0");
  }
  if (options.hot_window == 0) {
    throw OptionError("hot_window = 0: at least one worker must poll the bus, give 1 or more");
  }
  if (options.ports == 0 || options.ports > max_ports) {
    throw OptionError("ports = " + std::to_string(options.ports) + " is not from 1 to " +
                      std::to_string(max_ports) + ": give one for each host thread that queues");
  }
  if (options.ports > 1 && options.scope == Scope::grid) {
    throw OptionError(
        "ports = " + std::to_string(options.ports) +
        " in grid scope, which runs one config at a time: give 1, and let the threads "
        "take turns");
  }
  check_graph_queue(options);
  if (options.first_ticket > max_first_ticket) {
    throw OptionError("first_ticket = " + std::to_string(options.first_ticket) + " is above " +
                      std::to_string(max_first_ticket) + ": tickets would overflow, give less");
  }
  if (options.cpu_threads > 4096) {
    throw OptionError("cpu_threads = " + std::to_string(options.cpu_threads) +
                      " is above 4096: give 0 for one per hardware thread");
  }
  if (options.buffer_slots == 0 || options.buffer_slots > most_buffer_slots) {
    throw OptionError("buffer_slots = " + std::to_string(options.buffer_slots) +
                      " is not from 1 to " + std::to_string(most_buffer_slots) +
                      ": 3 overlap both copies with the step");
  }
  if (options.device < 0) {
    throw OptionError("device = " + std::to_string(options.device) +
                      " is negative: give a CUDA ordinal, 0 for the first GPU");
  }
}

std::string_view to_string(ExecutorKind kind) {
  return name_of(executor_names, kind);
}
std::string_view to_string(Scope scope) {
  return name_of(scope_names, scope);
}
ExecutorKind parse_executor(std::string_view text) {
  return parse(executor_names, "executor", text);
}
Scope parse_scope(std::string_view text) {
  return parse(scope_names, "scope", text);
}

ContextOptions prefer_resident(ContextOptions options) {
  const bool can_be =
      options.executor == ExecutorKind::automatic && why_no_gpu(options.device).empty();
  if (can_be) options.executor = ExecutorKind::resident;
  return options;
}

ExecutorChoice choose_executor(ExecutorKind wanted, int device) {
  if (is_on_host(wanted)) return {wanted, "asked for"};
  const std::string obstacle = why_no_gpu(device);
  if (wanted == ExecutorKind::automatic) {
    if (obstacle.empty()) return {ExecutorKind::resident, "found " + gpu_name(device)};
    return {ExecutorKind::cpu, obstacle};
  }
  if (!obstacle.empty()) {
    throw DeviceError("executor '" + std::string(to_string(wanted)) + "' on device " +
                          std::to_string(device) + ": " + obstacle + "; choose " +
                          (wanted == ExecutorKind::triple_buffer ? "'cpu_triple_buffer', " : "") +
                          "'cpu' or 'automatic' to run without it",
                      "cudaErrorNoDevice");
  }
  return {wanted, "asked for"};
}

}  // namespace aatgs
