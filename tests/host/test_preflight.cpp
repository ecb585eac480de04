// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/preflight.hpp>
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace aatgs {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t sms = 132;
constexpr SmRoom h200_sm{32, 2048, 65536, 233472};

/// 8 of these fit an SM.
constexpr SmRoom block_of_256{1, 256, 8192, 4096};

int some_kernel;  // stands for one: only its address counts

ResidentPlan plan_of(std::uint32_t blocks) {
  ResidentPlan plan;
  plan.kernel = &some_kernel;
  plan.blocks = blocks;
  plan.threads = 256;
  plan.park_after = 5ms;
  plan.mapped_bytes = 1 << 20;
  plan.device_bytes = 1 << 20;
  return plan;
}

/// A machine on which everything is as it should be.
MachineFacts good_machine() {
  MachineFacts facts;
  facts.free_host_bytes = facts.free_device_bytes = std::uint64_t{1} << 30;
  facts.lockable_host_bytes = std::numeric_limits<std::uint64_t>::max();
  facts.driver_version = facts.runtime_version = 13000;
  facts.lazy_loading = true;
  facts.cooperative_launch = facts.maps_host_memory = facts.unified_addressing = true;
  facts.compute_preemption = true;
  facts.sms = sms;
  facts.sm = h200_sm;
  facts.kernel_loaded = true;
  facts.blocks_that_fit = 8 * sms;
  facts.block = block_of_256;
  return facts;
}

/// The only finding that is not ok. There must be no other.
Finding only_finding(const MachineFacts& facts, const ResidentPlan& plan) {
  Finding found{Severity::ok, "none", "", ""};
  int count = 0;
  for (const Finding& finding : judge(facts, plan)) {
    if (finding.severity == Severity::ok) continue;
    found = finding;
    ++count;
  }
  CHECK(count <= 1);
  return found;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Checks that the plan is judged so, in words that name the value seen and what to change.
void check(const MachineFacts& facts, const ResidentPlan& plan, Severity severity, const char* seen,
           const char* change) {
  const Finding finding = only_finding(facts, plan);
  INFO(finding.check, ": ", finding.sentence);
  CHECK(finding.severity == severity);
  CHECK(contains(finding.sentence, seen));
  CHECK(contains(finding.sentence, change));
}

ResidentKernel holding(std::uint32_t blocks, bool parks) {
  return {0, blocks, block_of_256, parks};
}

TEST_CASE("preflight: a good machine is refused or warned of") {
  CHECK(only_finding(good_machine(), plan_of(8 * sms)).severity == Severity::ok);
  CHECK_NOTHROW(throw_refusals(judge(good_machine(), plan_of(8 * sms)), plan_of(8 * sms)));
  std::set<std::string> names;
  for (const Finding& finding : judge(good_machine(), plan_of(1))) {
    CHECK_FALSE(finding.sentence.empty());
    CHECK(names.insert(finding.check).second);
  }
}

TEST_CASE("preflight: without a GPU it goes on to ask the GPU") {
  MachineFacts facts;
  facts.obstacle = "no usable GPU (cudaErrorNoDevice: no CUDA-capable device is detected)";
  REQUIRE(judge(facts, plan_of(1)).size() == 1);
  check(facts, plan_of(1), Severity::refuse, "cudaErrorNoDevice", "executor 'cpu'");
}

TEST_CASE("preflight: a blocking launch of a resident kernel never returns") {
  MachineFacts facts = good_machine();
  facts.launch_blocking = "1";
  check(facts, plan_of(1), Severity::refuse, "CUDA_LAUNCH_BLOCKING = 1", "unset it");
  ResidentPlan bounded = plan_of(1);
  bounded.bounded = true;
  check(facts, bounded, Severity::warn, "CUDA_LAUNCH_BLOCKING = 1", "unset it");
  facts.launch_blocking = "0";
  CHECK(only_finding(facts, plan_of(1)).severity == Severity::ok);
}

TEST_CASE("preflight: a grid that cannot be on the GPU at once is launched") {
  check(good_machine(), plan_of(8 * sms + 1), Severity::refuse, "1057 blocks", "fewer workers");
}

TEST_CASE("preflight: a kernel that is loaded late waits for a resident one") {
  MachineFacts facts = good_machine();
  facts.kernel_loaded = false;
  check(facts, plan_of(1), Severity::refuse, "not loaded", "cudaFuncGetAttributes");
  facts = good_machine();
  ResidentPlan plan = plan_of(1);
  plan.park_after = 0ns;
  check(facts, plan, Severity::warn, "park_after = 0", "CUDA_MODULE_LOADING=EAGER");
  facts.lazy_loading = false;
  CHECK(only_finding(facts, plan).severity == Severity::ok);
}

TEST_CASE("preflight: the display watchdog kills a kernel that stays") {
  MachineFacts facts = good_machine();
  facts.display_watchdog = true;
  ResidentPlan plan = plan_of(1);
  check(facts, plan, Severity::refuse, "leave_after = 0", "set leave_after");
  plan.leave_after = 1000;
  check(facts, plan, Severity::warn, "1000 configs", "must not take longer");
  plan.park_after = 0ns;
  facts.lazy_loading = false;
  check(facts, plan, Severity::refuse, "park_after = 0", "a few ms");
  plan.bounded = true;
  check(facts, plan, Severity::warn, "what is queued", "must not take longer");
}

TEST_CASE("preflight: a device without what a resident kernel needs is used") {
  MachineFacts facts = good_machine();
  facts.cooperative_launch = false;
  check(facts, plan_of(1), Severity::refuse, "no cooperative launch", "the executor 'cpu'");
  facts = good_machine();
  facts.maps_host_memory = false;
  check(facts, plan_of(1), Severity::refuse, "cannot map host memory", "the executor 'cpu'");
  facts = good_machine();
  facts.unified_addressing = false;
  check(facts, plan_of(1), Severity::refuse, "at other addresses", "another device");
  facts = good_machine();
  facts.integrated = true;
  check(facts, plan_of(1), Severity::warn, "integrated", "gpu suite");
  facts = good_machine();
  facts.compute_preemption = false;
  check(facts, plan_of(1), Severity::warn, "cannot interrupt", "park_after short");
}

TEST_CASE("preflight: a device that others hold, or nobody may use, is used") {
  MachineFacts facts = good_machine();
  facts.compute_mode = ComputeMode::exclusive_process;
  check(facts, plan_of(1), Severity::warn, "exclusive process", "nvidia-smi -c DEFAULT");
  facts = {};  // CUDA tells no more of such a device
  facts.compute_mode = ComputeMode::prohibited;
  check(facts, plan_of(1), Severity::refuse, "prohibited", "nvidia-smi -c DEFAULT");
}

TEST_CASE("preflight: the driver is older than this build") {
  MachineFacts facts = good_machine();
  facts.driver_version = 12080;
  check(facts, plan_of(1), Severity::refuse, "CUDA 12.8", "newer driver");
  facts.driver_version = 13000;
  facts.runtime_version = 13010;
  check(facts, plan_of(1), Severity::warn, "CUDA 13.1", "update the driver");
}

TEST_CASE("preflight: memory that is not there is asked for") {
  ResidentPlan plan = plan_of(1);
  MachineFacts facts = good_machine();
  facts.free_device_bytes = plan.device_bytes - 1;
  check(facts, plan, Severity::refuse, "1.0 MiB", "fewer telemetry_slots");
  facts = good_machine();
  facts.free_host_bytes = plan.mapped_bytes - 1;
  check(facts, plan, Severity::refuse, "1.0 MiB", "fewer config_slots");
  facts = good_machine();
  facts.lockable_host_bytes = 65536;
  check(facts, plan, Severity::warn, "RLIMIT_MEMLOCK is 0.0 MiB", "ulimit -l");
}

TEST_CASE("preflight: a tool that waits for the end of each kernel is not told of") {
  MachineFacts facts = good_machine();
  facts.tool = "CUDA_INJECTION64_PATH = /opt/tool.so";
  ResidentPlan plan = plan_of(1);
  check(facts, plan, Severity::warn, "/opt/tool.so", "set bounded");
  plan.bounded = true;
  CHECK(only_finding(facts, plan).severity == Severity::ok);
}

TEST_CASE("preflight: a share of the GPU by MPS is taken for all of it") {
  MachineFacts facts = good_machine();
  facts.mps_percentage = "50";
  check(facts, plan_of(1), Severity::warn, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE = 50", "set workers");
  facts.mps_percentage = "100";
  CHECK(only_finding(facts, plan_of(1)).severity == Severity::ok);
}

TEST_CASE("preflight: a second context waits for ever for one that never parks, or the other way") {
  MachineFacts facts = good_machine();
  ResidentPlan plan = plan_of(8 * sms);
  facts.others = {holding(8 * sms, true)};
  check(facts, plan, Severity::warn, "1056 blocks", "with workers");
  facts.others = {holding(1, false)};
  check(facts, plan, Severity::refuse, "1 of which never parks", "a park_after above 0");
  facts.others = {holding(1, true)};
  facts.lazy_loading = false;
  plan.park_after = 0ns;
  check(facts, plan, Severity::refuse, "park_after = 0 ns", "a park_after above 0");
}

TEST_CASE("preflight: contexts that share the GPU by workers are refused") {
  MachineFacts facts = good_machine();
  facts.lazy_loading = false;
  ResidentPlan plan = plan_of(4 * sms);
  plan.park_after = 0ns;
  facts.others = {holding(4 * sms, false)};
  CHECK(only_finding(facts, plan).severity == Severity::ok);
  plan.blocks = 4 * sms + 1;
  check(facts, plan, Severity::refuse, "529 blocks", "with workers");
}

TEST_CASE("sharing: one resource of an SM is forgotten") {
  const auto pair = [](SmRoom block) {  // one on each SM and one, so one SM has to hold two
    const ResidentKernel kernel{0, sms / 2 + 1, block, false};
    return sharing_of({kernel, kernel}, sms, h200_sm);
  };
  CHECK(pair({1, 1024, 32768, 1024}) == Sharing::together);
  CHECK(pair({1, 1056, 1024, 1024}) == Sharing::never);
  CHECK(pair({1, 32, 33024, 1024}) == Sharing::never);
  CHECK(pair({1, 32, 1024, 116737}) == Sharing::never);
  CHECK(pair({17, 32, 1024, 1024}) == Sharing::never);
}

TEST_CASE("sharing: those that park are taken for gone, or for staying") {
  const ResidentKernel half{0, 4 * sms, block_of_256, true};
  const ResidentKernel all{0, 8 * sms, block_of_256, true};
  ResidentKernel stays = half;
  stays.parks = false;
  CHECK(sharing_of({half, half}, sms, h200_sm) == Sharing::together);
  CHECK(sharing_of({half, half, half}, sms, h200_sm) == Sharing::in_turns);
  CHECK(sharing_of({all, half}, sms, h200_sm) == Sharing::in_turns);
  CHECK(sharing_of({half, stays, half}, sms, h200_sm) == Sharing::in_turns);
  CHECK(sharing_of({all, stays}, sms, h200_sm) == Sharing::never);
  CHECK(sharing_of({}, sms, h200_sm) == Sharing::together);
}

TEST_CASE("preflight: several refusals, and only the first is told") {
  MachineFacts facts = good_machine();
  facts.launch_blocking = "1";
  facts.free_device_bytes = 0;
  const ResidentPlan plan = plan_of(9 * sms);
  try {
    throw_refusals(judge(facts, plan), plan);
    FAIL("nothing was thrown");
  } catch (const DeviceError& e) {
    for (const char* part : {"CUDA_LAUNCH_BLOCKING", "1188 blocks", "0.0 MiB are free"}) {
      CHECK(contains(e.what(), part));
    }
    CHECK(e.code_name() == "cudaErrorNotSupported");
  }
  CHECK_THROWS_AS(throw_refusals(judge(good_machine(), plan), plan), OptionError);
}

TEST_CASE("preflight: the memory that a context will ask for is misjudged") {
  ContextOptions options;
  options.ports = 3;
  options.config_slots = 64;
  options.telemetry_slots = 16;
  options.park_after = 7ms;
  options.leave_after = 9;
  options.bounded = true;
  const MessageSizes sizes{22, 8};
  const ResidentPlan plan = plan_resident(&some_kernel, 11, 128, 48, options, sizes);
  const MemoryNeeds needs = ResidentMemory::needs(options, sizes, 10);  // 11 with the service block
  CHECK(plan.mapped_bytes == needs.shared_bytes);
  CHECK(plan.device_bytes == needs.workers_bytes);
  CHECK(plan.park_after == 7ms);
  CHECK(plan.leave_after == 9);
  CHECK(plan.bounded);
  CHECK(needs.shared_bytes > 3 * (64 * 22 + 16 * 8) * sizeof(Granule));
}

TEST_CASE("preflight: the environment is not read") {
  CHECK(setenv("CUDA_LAUNCH_BLOCKING", "1", 1) == 0);
  CHECK(setenv("CUDA_INJECTION64_PATH", "/opt/tool.so", 1) == 0);
  CHECK(setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "25", 1) == 0);
  rlimit lockable{};
  CHECK(getrlimit(RLIMIT_MEMLOCK, &lockable) == 0);
  MachineFacts facts;
  read_process_facts(facts);
  CHECK(unsetenv("CUDA_LAUNCH_BLOCKING") == 0);
  CHECK(unsetenv("CUDA_INJECTION64_PATH") == 0);
  CHECK(unsetenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE") == 0);
  CHECK(facts.launch_blocking == "1");
  CHECK(contains(facts.tool, "/opt/tool.so"));
  CHECK(facts.mps_percentage == "25");
  CHECK(facts.lockable_host_bytes == lockable.rlim_cur);
  CHECK(facts.free_host_bytes > 1 << 20);
}

TEST_CASE("registry: a context that has ended, or one on another device, is in the way") {
  ResidentRegistry registry;
  std::vector<std::size_t> seen;
  const auto look = [&](const auto& others) { seen.push_back(others.size()); };
  ResidentLease first = registry.enter(holding(1, true), look);
  {
    const ResidentLease second = registry.enter(holding(2, true), look);
    CHECK(second.others().size() == 1);
    CHECK(second.others().front().blocks == 1);
    CHECK(registry.on(0).size() == 2);
    CHECK(registry.on(1).empty());
  }
  CHECK(seen == std::vector<std::size_t>{0, 1});
  ResidentLease moved = std::move(first);
  CHECK(registry.on(0).size() == 1);
  moved = ResidentLease();
  CHECK(registry.on(0).empty());
}

TEST_CASE("registry: a kernel that was refused is in the way of others") {
  ResidentRegistry registry;
  CHECK_THROWS_AS(static_cast<void>(registry.enter(
                      holding(1, true), [](const auto&) { throw OptionError("refused"); })),
                  OptionError);
  CHECK(registry.on(0).empty());
}

TEST_CASE("registry: a kernel that could not be ended is forgotten") {
  ResidentRegistry registry;
  {
    ResidentLease lease = registry.enter(holding(1, true), [](const auto&) {});
    lease.abandon();
    lease.abandon();
  }
  REQUIRE(registry.on(0).size() == 1);
  CHECK_FALSE(registry.on(0).front().parks);
}

TEST_CASE("registry: two threads are both let in where only one has room") {
  ResidentRegistry registry;
  std::atomic<int> seen_by_second = -1;
  std::jthread second;
  ResidentLease leases[2];
  leases[0] = registry.enter(holding(1, false), [&](const auto&) {
    second = std::jthread([&] {
      leases[1] = registry.enter(holding(1, false), [&](const auto& others) {
        seen_by_second = static_cast<int>(others.size());
      });
    });
    std::this_thread::sleep_for(20ms);  // the time to slip in
  });
  second.join();
  CHECK(seen_by_second == 1);
}

TEST_CASE("preflight: a kernel that does not start is waited for without a word of why") {
  const ResidentPlan plan = plan_of(1056);
  const std::string text =
      describe_late_start(plan, 1200ms, {holding(528, true), holding(9, false)});
  for (const char* part : {"1200 ms", "1056 blocks of 256 threads", "2 other resident contexts",
                           "537 blocks", "1 of which never parks", "with workers"}) {
    CHECK(contains(text, part));
  }
}

}  // namespace
}  // namespace aatgs
