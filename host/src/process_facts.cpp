// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <aatgs/host/preflight.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace aatgs {

namespace {

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The number behind `key` in a file of lines `key number`; `otherwise` if it is not there.
std::uint64_t read_number(const char* file, std::string_view key, std::uint64_t otherwise) {
  std::ifstream in(file);
  for (std::string word; in >> word;) {
    std::uint64_t value = 0;
    if (word == key && in >> value) return value;
  }
  return otherwise;
}

/// The only number in a file.
std::uint64_t read_number(const char* file, std::uint64_t otherwise) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  return in >> value ? value : otherwise;
}

std::uint64_t free_in_machine() {
  const std::uint64_t kib = read_number("/proc/meminfo", "MemAvailable:", no_limit);
  return kib == no_limit ? no_limit : kib * 1024;
}

/// Of the container, if it has a limit (cgroup v2). What it caches of files can be dropped.
std::uint64_t free_in_cgroup() {
  const std::uint64_t limit = read_number("/sys/fs/cgroup/memory.max", no_limit);
  if (limit == no_limit) return no_limit;
  const std::uint64_t used = read_number("/sys/fs/cgroup/memory.current", 0);
  const std::uint64_t cached = read_number("/sys/fs/cgroup/memory.stat", "file", 0);
  const std::uint64_t held = used - std::min(used, cached);
  return limit - std::min(limit, held);
}

std::uint64_t lockable_bytes() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return no_limit;
  return limit.rlim_cur;
}

/// The first of NVIDIA's tool libraries in this process: compute-sanitizer, Nsight Systems and
/// Compute bring them along.
std::string tool_library() {
  constexpr std::array names = {
      std::string_view("libsanitizer-collection"), std::string_view("libsanitizer-public"),
      std::string_view("libToolsInjection"),       std::string_view("libcuda-injection"),
      std::string_view("libTreeLauncherTarget"),   std::string_view("libInterceptorInjection")};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string file = line.substr(line.rfind('/') + 1);
    for (const std::string_view name : names) {
      if (file.starts_with(name)) return file + " is loaded";
    }
  }
  return {};
}

std::string find_tool() {
  const std::string injected = environment("CUDA_INJECTION64_PATH");
  if (!injected.empty()) return "CUDA_INJECTION64_PATH = " + injected;
  const std::uint64_t tracer = read_number("/proc/self/status", "TracerPid:", 0);
  if (tracer != 0) return "a debugger, process " + std::to_string(tracer) + ", is attached";
  return tool_library();
}

}  // namespace

void read_process_facts(MachineFacts& facts) {
  facts.launch_blocking = environment("CUDA_LAUNCH_BLOCKING");
  facts.mps_percentage = environment("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
  facts.tool = find_tool();
  facts.free_host_bytes = std::min(free_in_machine(), free_in_cgroup());
  facts.lockable_host_bytes = lockable_bytes();
}

}  // namespace aatgs
