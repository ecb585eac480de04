// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/telemetry_ring.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace aatgs {

/// What stands behind a context.
enum class ExecutorKind {
  /// Where there is a GPU, the fastest of resident, launch_queue and, where it can run the step,
  /// graph_queue for the user's first configs; the context says which and why. Resident at once,
  /// unmeasured, with several ports or with lossy telemetry. Without a GPU, cpu. A change calls the
  /// step's `leave` and `enter`, as parking does. `execute_batch` may go yet another road: one
  /// launch with a block for each config, or in grid scope a graph of the steps, if the step says
  /// `static constexpr bool grid_sync = false`.
  automatic,
  resident,      ///< the persistent CUDA kernel, fed through rings in mapped memory
  launch_queue,  ///< a launch for every config, by value; the caller polls the telemetry
  /// Configs gathered into CUDA graphs of up to 96 steps, one of them on its way; the caller polls
  /// the telemetry, which comes towards a graph's end. The others wait on the host and go on when
  /// the caller next finds no telemetry there. Grid scope, telemetry policy `block`, and steps that
  /// say `static constexpr bool grid_sync = false`.
  graph_queue,
  launch,  ///< sync mode: copy, one plain launch, copy, synchronise, for every config
  graph,   ///< the same as an instantiated CUDA graph
  cpu,     ///< host threads
  /// Copy, one plain launch, copy, each in a stream of its own, so that `buffer_slots` steps are on
  /// their way at once; they run one after the other, in order. Configs beyond these wait on the
  /// host and go on when it next calls the context.
  triple_buffer,
  cpu_triple_buffer,  ///< the same with host threads for streams: asked for by name alone
};

/// Whether the steps run on host threads, in its memory.
constexpr bool is_on_host(ExecutorKind kind) {
  return kind == ExecutorKind::cpu || kind == ExecutorKind::cpu_triple_buffer;
}

/// Who runs one config.
enum class Scope {
  block,  ///< one block; many configs at once
  grid,   ///< all blocks together; one config at a time
};

/// What `queue` does when the config ring is full.
enum class ConfigPolicy {
  block,   ///< waits until its deadline
  reject,  ///< returns at once
};

/// Leaves as many tickets before the 64 bits of a ticket overflow.
inline constexpr std::uint64_t max_first_ticket = std::uint64_t{1} << 63;

/// Of `ContextOptions::buffer_slots`.
inline constexpr std::uint32_t most_buffer_slots = 16;

/// Environment variables that set the slots of rings whose program leaves them at their default, so
/// that `aatgs_stats tune` needs no rebuild.
inline constexpr const char* config_slots_variable = "AATGS_CONFIG_SLOTS";
inline constexpr const char* telemetry_slots_variable = "AATGS_TELEMETRY_SLOTS";

/// What an environment variable says; 1024 where it is not set; 0, which no context takes, where it
/// holds anything but decimal digits of a 32-bit number.
std::uint32_t ring_slots_from_environment(const char* variable) noexcept;

/// Options of a context. Nothing is checked here: making the context checks all of it and throws
/// `OptionError`.
struct ContextOptions {
  ExecutorKind executor = ExecutorKind::automatic;
  Scope scope = Scope::block;

  /// Powers of two. By default as the environment says, else 1024; what a program sets itself wins.
  std::uint32_t config_slots = ring_slots_from_environment(config_slots_variable);
  std::uint32_t telemetry_slots = ring_slots_from_environment(telemetry_slots_variable);
  ConfigPolicy config_policy = ConfigPolicy::block;
  TelemetryPolicy telemetry_policy = TelemetryPolicy::block;

  std::chrono::nanoseconds queue_deadline = std::chrono::seconds(1);
  /// Longest time that a block may wait for the others inside a step.
  std::chrono::nanoseconds step_deadline = std::chrono::seconds(10);
  /// Idle time after which the resident kernel leaves the GPU until the next config; 0: never.
  /// While it is resident, `cudaFree` and `cudaDeviceSynchronize` elsewhere in the process wait for
  /// it. A config that finds it gone takes 12 to 16 us instead of 3 (H200): all that could be
  /// gained by foreseeing how long a pause will be, so nothing tries to.
  std::chrono::nanoseconds park_after = std::chrono::milliseconds(5);

  /// Configs of a port after which the resident kernel leaves the GPU once, however much is queued,
  /// so that others who wait for it get their turn; 0: it stays while there is work.
  std::uint64_t leave_after = 0;
  /// Longest time that a launched resident kernel may wait for its place on the GPU.
  std::chrono::nanoseconds start_deadline = std::chrono::seconds(10);
  /// The resident kernel is launched when the host waits or polls for completions, runs what is
  /// queued by then and leaves: for tools that run one kernel at a time, such as Nsight Compute.
  bool bounded = false;

  int device = 0;                  ///< CUDA ordinal
  std::uint32_t workers = 0;       ///< blocks that run steps; 0: as many as fit the GPU at once
  std::uint32_t cpu_threads = 0;   ///< of executors on the host; 0: one for each hardware thread
  std::uint32_t buffer_slots = 3;  ///< of triple_buffer: steps on their way, 1 to 16
  std::uint32_t ports = 1;         ///< host threads that use it at once; more than 1: block scope
  std::uint32_t hot_window = 128;  ///< block scope: most workers that poll the bus at a time
  /// Whether `aatgs_stats` can watch the context (see host/statistics_page.hpp).
  bool publish_statistics = true;
  /// Events of workers that are kept until `read_events`, 64 bytes each; 0: none, else a power of
  /// two from 1024 on. A worker takes room for 32 at a time, so with fewer than 64 for each worker
  /// some may find none: their events are dropped, and counted. With the executors resident and
  /// cpu.
  std::uint32_t event_slots = 0;
  std::uint64_t first_ticket = 0;  ///< at most `max_first_ticket`
};

/// Which executor `automatic` comes to on this machine.
struct ExecutorChoice {
  ExecutorKind kind;
  std::string reason;  ///< one sentence for a person
};

/// Resolves `automatic`, and checks that a GPU is there where one is asked for.
/// Throws `DeviceError` if it is not: there is no silent fallback.
ExecutorChoice choose_executor(ExecutorKind wanted, int device);

/// For solvers whose steps are known to be short: `automatic` becomes `resident` where there is a
/// GPU, without measuring, which would run their first slices on the slower roads.
ContextOptions prefer_resident(ContextOptions options);

/// Throws `OptionError` that names the first option that cannot work.
void check_options(const ContextOptions& options);

/// Why the CUDA device cannot be used, or an empty string if it can.
std::string why_no_gpu(int device);

/// Name of the device as CUDA gives it. Throws `DeviceError`.
std::string gpu_name(int device);

/// SMs of the device. Throws `DeviceError`.
std::uint32_t gpu_multiprocessors(int device);

std::string_view to_string(ExecutorKind kind);
std::string_view to_string(Scope scope);
/// Parse what the function above prints. Throw `OptionError` that lists the choices.
ExecutorKind parse_executor(std::string_view text);
Scope parse_scope(std::string_view text);

}  // namespace aatgs
