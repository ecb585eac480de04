// SPDX-License-Identifier: Apache-2.0
// Memory that runs out: this program has an operator new of its own, which fails when it is told
// to.
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_managed_context.hpp>
#include <aatgs/host/make_cpu_scheduler.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>

#include "held_step.hpp"

namespace {

std::atomic<long> allocations_until_failure = 0;  // 0: none fails
std::atomic<long> allocations = 0;
std::atomic<long> live_allocations = 0;
std::atomic<std::size_t> memory_bytes = 0;   // asked for as `aatgs::Memory` asks
std::atomic<std::size_t> failed_bytes = 0;   // of the last allocation that failed
std::atomic<bool> failed_as_memory = false;  // as `aatgs::Memory` asks

void* allocate(std::size_t bytes, std::size_t alignment, bool as_memory) noexcept {
  ++allocations;
  if (as_memory) memory_bytes += bytes;
  if (allocations_until_failure != 0 && --allocations_until_failure == 0) {
    failed_bytes = bytes;
    failed_as_memory = as_memory;
    return nullptr;
  }
  void* data = nullptr;
  if (posix_memalign(&data, alignment, bytes == 0 ? 1 : bytes) != 0) return nullptr;
  ++live_allocations;
  return data;
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
  void* data = allocate(bytes, alignment, false);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

void release(void* data) noexcept {
  if (data != nullptr) --live_allocations;
  std::free(data);
}

constexpr std::size_t plain = alignof(std::max_align_t);

}  // namespace

void* operator new(std::size_t n) {
  return allocate_or_throw(n, plain);
}
void* operator new[](std::size_t n) {
  return allocate_or_throw(n, plain);
}
void* operator new(std::size_t n, std::align_val_t a) {
  return allocate_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return allocate_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
  return allocate(n, plain, false);
}
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept {
  return allocate(n, plain, false);
}
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(n, static_cast<std::size_t>(a), true);
}
void operator delete(void* p) noexcept {
  release(p);
}
void operator delete[](void* p) noexcept {
  release(p);
}
void operator delete(void* p, std::size_t) noexcept {
  release(p);
}
void operator delete[](void* p, std::size_t) noexcept {
  release(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  release(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
  release(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  release(p);
}
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept {
  release(p);
}
void operator delete(void* p, const std::nothrow_t&) noexcept {
  release(p);
}
void operator delete[](void* p, const std::nothrow_t&) noexcept {
  release(p);
}
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  release(p);
}

namespace aatgs {
namespace {

using namespace std::chrono_literals;

struct NextStep {
  [[nodiscard]] std::size_t scratch_bytes() const { return 4096; }
  template <class Group>
  void operator()(Group& group, const int& config, int& out) const {
    group.sync();
    if (group.rank() == 0) out = config + 1;
  }
};

ContextOptions two_threads(Scope scope) {
  ContextOptions options;
  options.executor = ExecutorKind::cpu;
  options.scope = scope;
  options.cpu_threads = 2;
  options.ports = scope == Scope::block ? 2 : 1;
  options.config_slots = 4;
  options.telemetry_slots = 4;
  return options;
}

void check_runs(const ContextOptions& options) {
  auto ctx = make_cpu_context<int, int>(NextStep{}, options);
  const auto done = ctx.execute_batch(std::array{41});
  CHECK(done.front().telemetry == 42);
}

enum class Outcome { made, told, bad_alloc };

/// Makes a context whose `k`-th allocation fails.
Outcome make_with_failure(long k, const ContextOptions& options, std::string& message) {
  Outcome outcome = Outcome::made;
  allocations_until_failure = k;
  try {
    const auto ctx = make_cpu_context<int, int>(NextStep{}, options);
    allocations_until_failure = 0;
  } catch (const Error& e) {
    outcome = Outcome::told;
    message = e.what();
  } catch (const std::bad_alloc&) {
    outcome = Outcome::bad_alloc;
  }
  return outcome;
}

TEST_CASE(
    "allocation: one fails while a context is made, and it hangs, leaks, dies or says nothing") {
  for (const Scope scope : {Scope::block, Scope::grid}) {
    const ContextOptions options = two_threads(scope);
    check_runs(options);
    std::string message(1000, ' ');  // its own memory must not count
    long failures = 0;
    long of_memory = 0;
    long of_threads = 0;
    for (long k = 1;; ++k) {
      CAPTURE(k);
      const long before = live_allocations;
      message.clear();
      const Outcome outcome = make_with_failure(k, options, message);
      CHECK(live_allocations == before);
      if (outcome == Outcome::made) break;
      ++failures;
      const std::string bytes = std::to_string(failed_bytes);
      if (failed_as_memory) {
        ++of_memory;
        CHECK(outcome == Outcome::told);
        CHECK(message.find("allocating " + bytes + " bytes of host memory failed") == 0);
      } else if (outcome == Outcome::told) {
        ++of_threads;
        CHECK(message.find("starting thread") == 0);
      }
      if (k % 8 == 0) check_runs(options);
    }
    check_runs(options);
    CHECK(failures > 20);
    CHECK(of_memory == 8 * options.ports + 2);
    CHECK(of_threads >= 2);
  }
}

TEST_CASE("allocation: a Buffer that cannot be had leaves something, or says nothing") {
  const auto make = [] {
    allocations_until_failure = 1;
    return Buffer<int>(MemoryKind::host, 100);
  };
  std::string message;
  const long before = live_allocations;
  try {
    make();
  } catch (const DeviceError& e) {
    message = e.what();
    CHECK(e.code_name() == "cudaErrorMemoryAllocation");
  }
  CHECK(message ==
        "allocating 400 bytes of host memory failed: free some, or ask for fewer slots or a "
        "smaller Buffer");
  message = {};
  message.shrink_to_fit();
  CHECK(live_allocations == before);
  CHECK(Buffer<int>(MemoryKind::host, 100).size() == 100);
}

TEST_CASE("allocation: more elements than bytes can be counted wrap around to a few") {
  CHECK_THROWS_AS(Buffer<std::uint64_t>(MemoryKind::host, (~std::size_t{0} >> 3) + 2), OptionError);
  CHECK_THROWS_AS(Buffer<std::uint64_t>(MemoryKind::host, ~std::size_t{0}), OptionError);
}

TEST_CASE("allocation: what preflight reckons with is not what is asked for") {
  ContextOptions options = two_threads(Scope::block);
  options.ports = 3;
  options.telemetry_slots = 16;
  const MessageSizes sizes{22, 8};
  const MemoryNeeds needs = ResidentMemory::needs(options, sizes, 10);
  const std::size_t before = memory_bytes;
  const ResidentMemory memory(MemoryKind::host, options, sizes, 10);
  CHECK(memory_bytes - before == needs.shared_bytes + needs.workers_bytes);
}

struct NoTask {
  static constexpr bool spawns = false;
  struct Config {};
  template <class Group>
  void operator()(Group&, const Config&) const {}
};

TEST_CASE("allocation: one fails in the submission of a graph, which then runs without a place") {
  SchedulerOptions options;
  options.context = two_threads(Scope::grid);
  auto scheduler = make_cpu_scheduler(Steps<NoTask>(NoTask{}), options);
  TaskGraph<Steps<NoTask>> graph;
  graph.add<NoTask>("nothing", {});
  auto prepared = scheduler->prepare(graph);
  long failures = 0;
  for (int run = 0; run < 100; ++run) {  // not every place may ask for memory
    allocations_until_failure = 1;
    try {
      scheduler->submit(prepared);
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    allocations_until_failure = 0;
    REQUIRE(scheduler->context().stats().in_flight == scheduler->in_flight());
    if (scheduler->in_flight() == 0) scheduler->submit(prepared);
    CHECK(scheduler->wait(20s));
  }
  CHECK(failures > 0);
}

TEST_CASE("allocation: queueing and polling ask for memory, which may be gone") {
  for (const Scope scope : {Scope::block, Scope::grid}) {
    auto ctx = make_cpu_context<int, int>(NextStep{}, two_threads(scope));
    const long before = allocations;
    // Long enough for some reports to the statistics page, ten a second.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
    for (int i = 0; i < 2000 || std::chrono::steady_clock::now() < end;) {
      if (ctx.try_queue(i)) ++i;
      static_cast<void>(ctx.poll());
    }
    // Empty polls look around from time to time.
    for (int i = 0; i < 200'000; ++i) static_cast<void>(ctx.poll());
    CHECK(allocations == before);
  }
}

TEST_CASE("allocation: the late result of a step that was given up is kept for ever") {
  std::atomic<bool> let_go = false;
  ManagedOptions options;
  options.step_mode = StepMode::resident;
  options.host_threads = true;
  options.context.cpu_threads = 1;
  options.deadline = 10ms;
  auto managed = make_cpu_managed_context<int, int>(test::HeldStep{&let_go}, options);
  const auto is_done_in_time = [&] {
    try {
      return managed.step(1).ok();
    } catch (const TimeoutError&) {
      return false;
    }
  };
  long live = 0;
  for (int round = 0; round < 10; ++round) {
    let_go = false;
    CHECK_THROWS_AS(static_cast<void>(managed.step(1)), TimeoutError);
    let_go = true;
    while (!is_done_in_time()) {
    }
    if (round == 0) live = live_allocations;
  }
  CHECK(live_allocations.load() == live);
}

}  // namespace
}  // namespace aatgs
