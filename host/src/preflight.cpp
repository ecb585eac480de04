// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/host/preflight.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>

#include "preflight_facts.hpp"

namespace aatgs {

namespace {

using std::to_string;

Finding ok(const char* check, const std::string& sentence) {
  return {Severity::ok, check, sentence, {}};
}
Finding warn(const char* check, const std::string& sentence) {
  return {Severity::warn, check, sentence, {}};
}
/// Other options would do.
Finding refuse_options(const char* check, const std::string& sentence) {
  return {Severity::refuse, check, sentence, {}};
}
/// `code`: what CUDA calls it.
Finding refuse_machine(const char* check, const std::string& sentence,
                       const char* code = "cudaErrorNotSupported") {
  return {Severity::refuse, check, sentence, code};
}

std::string mib(std::uint64_t bytes) {
  const std::uint64_t tenths = bytes / 1024 * 10 / 1024;
  return to_string(tenths / 10) + "." + to_string(tenths % 10) + " MiB";
}
std::string version(int number) {
  return to_string(number / 1000) + "." + to_string(number % 1000 / 10);
}
/// "CUDA 13.0 of the driver for CUDA 13.0 of this build"
std::string versions(const MachineFacts& facts) {
  return "the driver knows CUDA " + version(facts.driver_version) + ", this build uses CUDA " +
         version(facts.runtime_version);
}
bool parks(const ResidentPlan& plan) {
  return plan.park_after.count() > 0 || plan.bounded;
}

// ---- the driver and the device ------------------------------------------------------------------

Finding check_driver(const MachineFacts& facts, const ResidentPlan&) {
  constexpr const char* name = "driver";
  if (facts.driver_version / 1000 < facts.runtime_version / 1000) {
    return refuse_machine(
        name, versions(facts) + ": install a newer driver, or build with an older toolkit",
        "cudaErrorInsufficientDriver");
  }
  if (facts.driver_version < facts.runtime_version) {
    return warn(name, versions(facts) + ", which is newer: update the driver if calls fail");
  }
  return ok(name, versions(facts));
}

Finding check_compute_mode(const MachineFacts& facts, const ResidentPlan&) {
  constexpr const char* name = "compute mode";
  switch (facts.compute_mode) {
    case ComputeMode::prohibited:
      return refuse_machine(name,
                            "the compute mode of the device is 'prohibited', which lets no process "
                            "use it: change it with nvidia-smi -c DEFAULT, or use another device",
                            "cudaErrorDevicesUnavailable");
    case ComputeMode::exclusive_process:
      return warn(name,
                  "the compute mode of the device is 'exclusive process', so no other process can "
                  "use it beside this one: nvidia-smi -c DEFAULT lets others in");
    case ComputeMode::shared:
      break;
  }
  return ok(name, "any process may use the device");
}

Finding check_cooperative(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "cooperative launch";
  if (facts.cooperative_launch) return ok(name, "the device has it");
  return refuse_machine(name, "device " + to_string(plan.device) +
                                  " has no cooperative launch, which every kernel of a step needs: "
                                  "use another device, or the executor 'cpu'");
}

Finding check_mapped_memory(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "mapped memory";
  if (facts.maps_host_memory && facts.unified_addressing) {
    return ok(name, "the device reaches host memory, at the host's addresses");
  }
  return refuse_machine(
      name, "device " + to_string(plan.device) +
                (facts.maps_host_memory ? " reaches host memory at other addresses than the host"
                                        : " cannot map host memory") +
                ", through which all kernels are fed: use another device, or the executor 'cpu'");
}

Finding check_kind(const MachineFacts& facts, const ResidentPlan&) {
  constexpr const char* name = "kind of GPU";
  if (facts.integrated) {
    return warn(name,
                "the GPU is integrated and shares its memory with the host, which nobody has tried "
                "with a resident kernel: run the tests of the gpu suite first");
  }
  return ok(name, "it has memory of its own");
}

Finding check_preemption(const MachineFacts& facts, const ResidentPlan&) {
  constexpr const char* name = "compute preemption";
  if (facts.compute_preemption) return ok(name, "the device has it");
  return warn(name,
              "the device cannot interrupt a kernel, so other processes wait until the resident "
              "kernel leaves: keep park_after short, or use another device");
}

Finding check_watchdog(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "display watchdog";
  if (!facts.display_watchdog) return ok(name, "kernels may run for as long as they like");
  const std::string seen =
      "the device drives a display, whose watchdog kills kernels that run for "
      "some seconds, and ";
  if (plan.bounded) {
    return warn(name, seen +
                          "this kernel leaves after what is queued at its launch: that must not "
                          "take longer");
  }
  if (plan.leave_after == 0) {
    return refuse_options(name, seen +
                                    "leave_after = 0 sets no bound: set leave_after to as many "
                                    "configs as run in a second, or use a GPU without a display");
  }
  if (!parks(plan)) {
    return refuse_options(name, seen + "park_after = 0 keeps an idle kernel there: give a few ms");
  }
  return warn(name, seen + "this kernel leaves after " + to_string(plan.leave_after) +
                        " configs: those must not take longer than that");
}

// ---- what surrounds the process -----------------------------------------------------------------

Finding check_blocking_launches(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "blocking launches";
  const std::string& value = facts.launch_blocking;
  if (value.empty()) return ok(name, "CUDA_LAUNCH_BLOCKING is not set");
  if (value == "0") return ok(name, "CUDA_LAUNCH_BLOCKING = 0");
  if (plan.bounded) {
    return warn(name, "CUDA_LAUNCH_BLOCKING = " + value +
                          " makes every launch wait for the end of its kernel, which only comes "
                          "because it is bounded: unset it where it is not wanted");
  }
  return refuse_machine(name, "CUDA_LAUNCH_BLOCKING = " + value +
                                  " makes every launch wait for the end of its kernel, and a "
                                  "resident kernel waits for configs that come after its launch: "
                                  "unset it, set bounded, or use the executor 'launch'");
}

Finding check_loading(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "lazy loading";
  if (plan.kernel != nullptr && !facts.kernel_loaded) {
    return refuse_machine(name,
                          "the step's kernel is not loaded yet, and loading it may wait for a "
                          "resident kernel: call cudaFuncGetAttributes on it before the launch",
                          "cudaErrorNotReady");
  }
  if (facts.lazy_loading && !parks(plan)) {
    return warn(name,
                "CUDA loads kernels when they are first used, which may wait for this one, and "
                "park_after = 0 never lets them: set CUDA_MODULE_LOADING=EAGER, or give park_after "
                "a few ms");
  }
  return ok(name, facts.lazy_loading ? "kernels load when first used, at the latest when this one "
                                       "has parked"
                                     : "all kernels were loaded at the start");
}

Finding check_tools(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "sanitizers, profilers, debuggers";
  if (facts.tool.empty()) return ok(name, "none seen");
  if (plan.bounded) return ok(name, facts.tool + "; the kernel is bounded");
  return warn(name, facts.tool +
                        ", and such tools may wait for the end of each kernel: set bounded "
                        "in the options");
}

Finding check_mps(const MachineFacts& facts, const ResidentPlan&) {
  constexpr const char* name = "share by MPS";
  const std::string& value = facts.mps_percentage;
  if (value.empty()) return ok(name, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE is not set");
  const std::string seen = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE = " + value;
  if (std::strtod(value.c_str(), nullptr) >= 100) return ok(name, seen);
  return warn(name, seen +
                        " may leave this process fewer SMs than CUDA tells it of, so that the "
                        "kernel would not start: set workers to that share of the GPU, or unset "
                        "the variable");
}

// ---- what the kernel needs ----------------------------------------------------------------------

Finding check_residency(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "blocks on the GPU at once";
  if (plan.kernel == nullptr)
    return ok(name, "no kernel to check; " + to_string(facts.sms) + " SMs");
  const std::string numbers = to_string(plan.blocks) + " blocks of " + to_string(plan.threads) +
                              " threads and " + to_string(plan.scratch_bytes) +
                              " bytes of scratch wanted, " + to_string(facts.blocks_that_fit) +
                              " fit the " + to_string(facts.sms) + " SMs";
  if (plan.blocks <= facts.blocks_that_fit) return ok(name, numbers);
  return refuse_options(name, numbers + ": ask for fewer workers, fewer threads or less scratch");
}

Finding check_device_memory(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "GPU memory";
  const std::string numbers = "the context needs " + mib(plan.device_bytes) + " and " +
                              mib(facts.free_device_bytes) + " are free";
  if (plan.device_bytes <= facts.free_device_bytes) return ok(name, numbers);
  return refuse_machine(name, numbers + ": free some, or ask for fewer telemetry_slots or workers",
                        "cudaErrorMemoryAllocation");
}

Finding check_host_memory(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "pinned host memory";
  const std::string needed = "the rings need " + mib(plan.mapped_bytes) + " of pinned memory";
  if (plan.mapped_bytes > facts.free_host_bytes) {
    return refuse_machine(name,
                          needed + " and " + mib(facts.free_host_bytes) +
                              " are free: free some, or ask for fewer config_slots, "
                              "telemetry_slots or ports",
                          "cudaErrorMemoryAllocation");
  }
  // CUDA's driver pins on its own account and does not look at the limit on every system.
  if (plan.mapped_bytes > facts.lockable_host_bytes) {
    return warn(name, needed + " and RLIMIT_MEMLOCK is " + mib(facts.lockable_host_bytes) +
                          ": if the allocation fails, raise it with ulimit -l");
  }
  return ok(name, needed + ", which there is");
}

/// "2 other resident contexts of this process hold 1056 blocks there, 1 of them never parks"
std::string describe_others(const std::vector<ResidentKernel>& others) {
  std::uint64_t blocks = 0;
  std::size_t staying = 0;
  for (const ResidentKernel& other : others) {
    blocks += other.blocks;
    staying += other.parks ? 0 : 1;
  }
  return to_string(others.size()) + " other resident context" + (others.size() == 1 ? "" : "s") +
         " of this process on the device with " + to_string(blocks) + " blocks, " +
         to_string(staying) + " of which " + (staying == 1 ? "never parks" : "never park");
}

ResidentKernel kernel_of(const MachineFacts& facts, const ResidentPlan& plan) {
  return {plan.device, plan.blocks, facts.block, parks(plan)};
}

Finding check_others(const MachineFacts& facts, const ResidentPlan& plan) {
  constexpr const char* name = "other resident contexts";
  if (facts.others.empty()) return ok(name, "none of this process on the device");
  const std::string seen = describe_others(facts.others);
  if (plan.kernel == nullptr) return ok(name, seen);
  std::vector<ResidentKernel> all = facts.others;
  all.push_back(kernel_of(facts, plan));
  const std::string numbers = seen + "; this one wants " + to_string(plan.blocks) +
                              " blocks and has park_after = " + to_string(plan.park_after.count()) +
                              " ns";
  switch (sharing_of(all, facts.sms, facts.sm)) {
    case Sharing::never:
      return refuse_options(name, numbers +
                                      ", so that one would keep another out for ever: give "
                                      "each a share of the GPU with workers, or all a "
                                      "park_after above 0");
    case Sharing::in_turns:
      return warn(name, numbers +
                            ": not all fit at once, so they take turns whenever one has "
                            "parked; give each a share of the GPU with workers");
    case Sharing::together:
      break;
  }
  return ok(name, numbers + "; all fit at once");
}

using Check = Finding (*)(const MachineFacts&, const ResidentPlan&);
constexpr std::array device_checks = {Check{check_compute_mode},
                                      Check{check_cooperative},
                                      Check{check_mapped_memory},
                                      Check{check_kind},
                                      Check{check_preemption},
                                      Check{check_watchdog},
                                      Check{check_blocking_launches},
                                      Check{check_loading},
                                      Check{check_tools},
                                      Check{check_mps},
                                      Check{check_residency},
                                      Check{check_device_memory},
                                      Check{check_host_memory},
                                      Check{check_others}};

}  // namespace

ResidentPlan plan_resident(const void* kernel, std::uint32_t blocks, std::uint32_t threads,
                           std::size_t scratch_bytes, const ContextOptions& options,
                           MessageSizes sizes) {
  ResidentPlan plan;
  plan.device = options.device;
  plan.kernel = kernel;
  plan.blocks = blocks;
  plan.threads = threads;
  plan.scratch_bytes = scratch_bytes;
  plan.park_after = options.park_after;
  plan.leave_after = options.leave_after;
  plan.bounded = options.bounded;
  const MemoryNeeds needs = ResidentMemory::needs(options, sizes, blocks - 1);
  plan.mapped_bytes = needs.shared_bytes;
  plan.device_bytes = needs.workers_bytes;
  return plan;
}

MachineFacts gather_facts(const ResidentPlan& plan) {
  MachineFacts facts;
  read_process_facts(facts);
  detail::read_driver_facts(facts);
  facts.obstacle = why_no_gpu(plan.device);
  if (facts.obstacle.empty()) detail::read_device_facts(facts, plan);
  facts.others = ResidentRegistry::of_process().on(plan.device);
  return facts;
}

std::vector<Finding> judge(const MachineFacts& facts, const ResidentPlan& plan) {
  if (!facts.obstacle.empty()) {
    std::vector<Finding> findings{refuse_machine(
        "GPU", facts.obstacle + ": use the executor 'cpu' or 'automatic'", "cudaErrorNoDevice")};
    if (facts.driver_version != 0) findings.push_back(check_driver(facts, plan));
    return findings;
  }
  std::vector<Finding> findings{ok("GPU", "device " + to_string(plan.device) + " can be used"),
                                check_driver(facts, plan)};
  for (const Check check : device_checks) {
    findings.push_back(check(facts, plan));
    // Of a device that nobody may use CUDA tells nothing else.
    if (facts.compute_mode == ComputeMode::prohibited) break;
  }
  return findings;
}

void throw_refusals(const std::vector<Finding>& findings, const ResidentPlan& plan) {
  std::string sentences;
  std::string code;
  for (const Finding& finding : findings) {
    if (finding.severity != Severity::refuse) continue;
    sentences += (sentences.empty() ? "" : "; also, ") + finding.sentence;
    if (code.empty()) code = finding.code;
  }
  if (sentences.empty()) return;
  const std::string message =
      "no resident kernel was launched on device " + to_string(plan.device) + ": " + sentences;
  if (code.empty()) throw OptionError(message);
  throw DeviceError(message, code);
}

ResidentLease preflight_resident(const ResidentPlan& plan) {
  MachineFacts facts = gather_facts(plan);
  return ResidentRegistry::of_process().enter(kernel_of(facts, plan),
                                              [&](const std::vector<ResidentKernel>& others) {
                                                facts.others = others;
                                                throw_refusals(judge(facts, plan), plan);
                                              });
}

std::string describe_late_start(const ResidentPlan& plan, std::chrono::nanoseconds waited,
                                const std::vector<ResidentKernel>& others) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(waited).count();
  return "the resident kernel has not started on device " + to_string(plan.device) + " for " +
         to_string(ms) + " ms: it needs " + to_string(plan.blocks) + " blocks of " +
         to_string(plan.threads) + " threads there at once; there are " + describe_others(others) +
         ", and other processes (nvidia-smi lists them) or kernels of this one may hold SMs: end "
         "those, or give each context a share of the GPU with workers";
}

}  // namespace aatgs
