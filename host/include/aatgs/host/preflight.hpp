// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/options.hpp>
#include <aatgs/host/resident_memory.hpp>
#include <aatgs/host/resident_registry.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace aatgs {

/// A resident kernel that somebody wants to launch.
struct ResidentPlan {
  int device = 0;
  const void* kernel = nullptr;  ///< the `__global__` function; null: none in particular
  std::uint32_t blocks = 0;      ///< workers and service block
  std::uint32_t threads = 0;     ///< of a block
  std::size_t scratch_bytes = 0;
  std::chrono::nanoseconds park_after{0};  ///< 0: it never parks
  std::uint64_t leave_after = 0;           ///< configs after which it leaves the GPU; 0: no limit
  bool bounded = false;                    ///< it runs what is queued at its launch and leaves
  std::size_t mapped_bytes = 0;            ///< pinned host memory that it needs
  std::size_t device_bytes = 0;
};

/// The plan of a context with these options; memory as `ResidentMemory` will ask for it.
ResidentPlan plan_resident(const void* kernel, std::uint32_t blocks, std::uint32_t threads,
                           std::size_t scratch_bytes, const ContextOptions& options,
                           MessageSizes sizes);

/// Who may use a GPU.
enum class ComputeMode { shared, exclusive_process, prohibited };

/// What preflight knows of process, driver, device and kernel. The environment variables are as
/// they are now; CUDA read them when the process first used it.
struct MachineFacts {
  std::string obstacle;  ///< why no GPU can be used; if not empty, nothing below `driver` is known

  std::string launch_blocking;            ///< CUDA_LAUNCH_BLOCKING; empty: not set
  std::string mps_percentage;             ///< CUDA_MPS_ACTIVE_THREAD_PERCENTAGE
  std::string tool;                       ///< a sanitizer, profiler or debugger at work, in words
  std::uint64_t free_host_bytes = 0;      ///< of the machine and of the process's cgroup
  std::uint64_t lockable_host_bytes = 0;  ///< RLIMIT_MEMLOCK

  int driver_version = 0;   ///< newest CUDA that the driver knows: 13000 is 13.0
  int runtime_version = 0;  ///< the CUDA of this build
  bool lazy_loading = false;

  ComputeMode compute_mode = ComputeMode::shared;
  bool cooperative_launch = false;
  bool maps_host_memory = false;
  bool unified_addressing = false;
  bool integrated = false;
  bool display_watchdog = false;  ///< the driver kills kernels that run for seconds
  bool compute_preemption = false;
  std::uint64_t free_device_bytes = 0;

  std::uint32_t sms = 0;
  SmRoom sm;                           ///< an empty SM
  bool kernel_loaded = false;          ///< the plan's kernel, if it names one
  std::uint32_t blocks_that_fit = 0;   ///< of that kernel at once on the empty GPU
  SmRoom block;                        ///< what one of its blocks takes
  std::vector<ResidentKernel> others;  ///< of this process on this device
};

enum class Severity { ok, warn, refuse };

/// What one check came to.
struct Finding {
  Severity severity;
  std::string check;     ///< its name
  std::string sentence;  ///< the value seen and, unless ok, what to change
  std::string code;      ///< CUDA's name for a refusal; empty if an option is at fault
};

/// Gathers the facts for a plan, and loads its kernel on the way. Throws `DeviceError` if CUDA
/// fails.
MachineFacts gather_facts(const ResidentPlan& plan);

/// The part of the facts that needs no CUDA.
void read_process_facts(MachineFacts& facts);

/// All checks, in a fixed order; without a usable GPU only those of it and its driver. Pure.
std::vector<Finding> judge(const MachineFacts& facts, const ResidentPlan& plan);

/// To be called before anything of the plan is allocated or launched. Throws with all refusals in
/// one message: `OptionError` if other options would do, else `DeviceError`. The lease tells later
/// contexts of this process of the kernel; keep it as long as the kernel may be on the GPU.
[[nodiscard]] ResidentLease preflight_resident(const ResidentPlan& plan);

/// The last part of the above, for facts from elsewhere.
void throw_refusals(const std::vector<Finding>& findings, const ResidentPlan& plan);

/// The sentence for a kernel that stays `Presence::starting` after its launch: who may be in its
/// way. `others`: as the kernel's lease tells them.
std::string describe_late_start(const ResidentPlan& plan, std::chrono::nanoseconds waited,
                                const std::vector<ResidentKernel>& others);

}  // namespace aatgs
