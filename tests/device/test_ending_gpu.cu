// SPDX-License-Identifier: Apache-2.0
// How contexts end, park, yield and fail on a GPU. What wedges the GPU or faults there runs in a
// process of its own: a hidden test case of this program.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <aatgs/host/make_context.cuh>
#include <cstdarg>
#include <optional>

#include "../host/endings_suite.hpp"

namespace aatgs::test {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// ---- processes ---------------------------------------------------------------------------------

/// What came of a hidden test case.
struct Child {
  bool ended_by_itself = false;
  int status = -1;              ///< of its exit
  double ms_to_exit = 0;        ///< from the end of the test case
  bool has_ended_case = false;  ///< it came to `end_case`
  std::string output;
};

/// For the parent's eyes, from a hidden test case.
void note(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::printf("NOTE ");
  std::vprintf(format, arguments);
  std::printf("\n");
  std::fflush(stdout);
  va_end(arguments);
}

/// The last thing that a hidden test case does.
void end_case() {
  std::printf("END %lld\n", static_cast<long long>(Clock::now().time_since_epoch().count()));
  std::fflush(stdout);
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
  std::vector<std::string> all(more);
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// Starts this program with one test case, its output going to the pipe; -1: it cannot be started.
pid_t start(const std::string& test_case, const std::vector<std::string>& environment, int pipe) {
  std::vector<std::string> words{"test", "--no-skip", "--minimal", "-tc=" + test_case};
  std::vector<std::string> surroundings = environment_with(environment);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe, 1);
  posix_spawn_file_actions_adddup2(&actions, pipe, 2);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, pointers(words).data(),
                                pointers(surroundings).data());
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

/// Until the pipe's other end is closed, or the deadline.
std::string read_all(int pipe, Clock::time_point deadline) {
  std::string text;
  for (char piece[4096];;) {
    pollfd wanted{pipe, POLLIN, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0 || ::poll(&wanted, 1, static_cast<int>(left.count())) <= 0) return text;
    const ssize_t count = ::read(pipe, piece, sizeof piece);
    if (count <= 0) return text;
    text.append(piece, static_cast<std::size_t>(count));
  }
}

/// Whether the process has ended before the deadline; `status`: as `waitpid` gives it.
bool wait_for_exit(pid_t pid, Clock::time_point deadline, int& status) {
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

Child run_case(const std::string& test_case, const std::vector<std::string>& environment,
               std::chrono::seconds limit = 15s) {
  Child child;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const auto deadline = Clock::now() + limit;
  const pid_t pid = start(test_case, environment, ends[1]);
  ::close(ends[1]);
  REQUIRE(pid > 0);
  child.output = read_all(ends[0], deadline);
  ::close(ends[0]);
  int status = 0;
  child.ended_by_itself = wait_for_exit(pid, deadline, status);
  const auto now = Clock::now().time_since_epoch().count();
  if (!child.ended_by_itself) {
    ::kill(pid, SIGKILL);
    wait_for_exit(pid, Clock::now() + 10s, status);
  } else if (WIFEXITED(status)) {
    child.status = WEXITSTATUS(status);
  }
  const std::size_t end = child.output.rfind("END ");
  child.has_ended_case = end != std::string::npos;
  if (child.has_ended_case) {
    const long long then = std::strtoll(child.output.c_str() + end + 4, nullptr, 10);
    child.ms_to_exit = static_cast<double>(now - then) / 1e6;
  }
  return child;
}

/// Runs a hidden test case that has to end well, and shows what it noted.
void check_case(const std::string& test_case, const std::vector<std::string>& environment) {
  const Child child = run_case(test_case, environment);
  std::string about = test_case;
  for (const std::string& word : environment) about += ", " + word;
  {
    CAPTURE(about);
    INFO(child.output);
    CHECK(child.ended_by_itself);
    CHECK(child.status == 0);
    CHECK(child.has_ended_case);
    CHECK(child.ms_to_exit < 10'000);
  }
  std::string notes;
  for (std::size_t i = 0; (i = child.output.find("NOTE ", i)) != std::string::npos;) {
    const std::size_t end = child.output.find('\n', i);
    notes += "\n  " + child.output.substr(i + 5, end - i - 5);
    i = end;
  }
  MESSAGE(about << ": exit after " << child.ms_to_exit << " ms" << notes);
}

std::vector<std::string> as(ExecutorKind executor, Scope scope) {
  return {"AATGS_TEST_EXECUTOR=" + std::string(to_string(executor)),
          "AATGS_TEST_SCOPE=" + std::string(to_string(scope))};
}

/// In a hidden test case: as the parent wants it.
ContextOptions options_of_child() {
  ContextOptions options;
  const char* executor = std::getenv("AATGS_TEST_EXECUTOR");
  const char* scope = std::getenv("AATGS_TEST_SCOPE");
  if (executor != nullptr) options.executor = parse_executor(executor);
  if (scope != nullptr) options.scope = parse_scope(scope);
  return options;
}

// ---- steps that wedge or fault -----------------------------------------------------------------

enum class Deed : std::uint32_t {
  add,      ///< 1 to the value
  spin,     ///< for ever, deaf to an abort
  wild,     ///< writes where nothing is
  trap,     ///< gives up
  missing,  ///< block 1 never comes to the barrier
};

struct Task {
  Deed deed = Deed::add;
  std::uint32_t value = 0;
};

struct WreckStep {
  static constexpr unsigned block_threads = 128;
  static constexpr bool device_only = true;

  std::uint32_t* words;    ///< [0]: 1 from when the step is at its deed; [1]: 0 for ever
  std::uint32_t* nowhere;  ///< no memory is there

  template <class Group>
  __device__ void operator()(Group& group, const Task& task, std::uint32_t& out) const {
    if (group.rank() == 0 && task.deed != Deed::add) store_shared(words, 1U);
    if (task.deed == Deed::spin && group.rank() == 0) spin();
    if (task.deed == Deed::wild) store_shared(nowhere, 1U);
    if (task.deed == Deed::trap) __trap();
    if (task.deed == Deed::missing) {
      if (group.block_index() == 1 && group.block_rank() == 0) spin();
      if constexpr (requires { group.sync(); }) group.sync();
    }
    if (group.rank() == 0) out = task.value + 1;
  }

 private:
  __device__ void spin() const {
    while (load_shared(words + 1) == 0) {
    }
  }
};

/// For graphs of steps.
struct LooseWreckStep : WreckStep {
  static constexpr bool grid_sync = false;
};

using WreckContext = GpuExecutionContext<Task, std::uint32_t>;

/// A context with one config done and collected, and the words of its step.
struct Wreck {
  explicit Wreck(const ContextOptions& options) : words(MemoryKind::device, 2) {
    auto* nowhere = reinterpret_cast<std::uint32_t*>(std::uintptr_t{64});
    const WreckStep step{words.data(), nowhere};
    if (options.executor == ExecutorKind::graph_queue) {
      ctx.emplace(make_context<Task, std::uint32_t>(LooseWreckStep{step}, options));
    } else {
      ctx.emplace(make_context<Task, std::uint32_t>(step, options));
    }
    REQUIRE(ctx->queue({Deed::add, 41}));
    const auto done = ctx->wait(10s);
    REQUIRE(done);
    REQUIRE(done->telemetry == 42);
  }
  bool wait_for_deed() {
    return eventually([&] { return words.download().front() == 1; });
  }

  Buffer<std::uint32_t> words;
  std::optional<WreckContext> ctx;
};

TEST_CASE("child: a step never returns" * doctest::skip()) {
  {
    Wreck wreck(options_of_child());
    WreckContext& ctx = *wreck.ctx;
    REQUIRE(ctx.queue({Deed::spin}));
    REQUIRE(wreck.wait_for_deed());
    REQUIRE(ctx.queue({Deed::add}));
    auto begin = Clock::now();
    CHECK_FALSE(ctx.shutdown(StopMode::abort, 200ms));
    note("shutdown(abort, 200 ms): %.1f ms", ms_since(begin));
    CHECK(ms_since(begin) < 2000);
    const std::string report = ctx.hang_report();
    note("%s", report.c_str());
    CHECK(contains(report, "taken and in the step (ticket"));
    CHECK((contains(report, "(ticket 1") || contains(report, "(tickets 1")));
    CHECK(ctx.try_queue({Deed::add}).status == QueueStatus::closed);
    CHECK_THROWS_AS(ctx.execute_batch(std::vector<Task>(3)), UseError);
    while (ctx.poll()) {  // in block scope another worker has run the last one
    }
    CHECK_FALSE(ctx.shutdown(StopMode::abort, 0ms));
    CHECK(is_balanced(ctx.stats()));
    CHECK(ctx.stats().in_flight == 0);
    begin = Clock::now();
    wreck.ctx.reset();
    note("destructor: %.1f ms", ms_since(begin));
    CHECK(ms_since(begin) < 2000);
  }
  end_case();
}

/// `deed` fails with `error`; the host polls, or waits.
void check_fault(const ContextOptions& options, Deed deed, bool polls, const char* error) {
  Wreck wreck(options);
  WreckContext& ctx = *wreck.ctx;
  REQUIRE(ctx.queue({Deed::add, 7}));
  REQUIRE(eventually([&] { return ctx.is_gpu_idle(); }));  // and not collected
  const auto begin = Clock::now();
  REQUIRE(ctx.queue({deed}));
  std::uint32_t kept = 0;
  std::string what;
  try {
    while (ms_since(begin) < 10'000) {
      const auto done = polls ? ctx.poll() : ctx.wait(10s);
      if (done) kept = done->telemetry;
    }
  } catch (const DeviceError& e) {
    what = e.what();
    CHECK(e.code_name() == error);
  }
  note("%.1f ms: %s", ms_since(begin), what.c_str());
  CHECK_FALSE(what.empty());
  CHECK(contains(what, "(ticket 2)"));
  CHECK(ms_since(begin) < 2000);
  CHECK(kept == 8);
  CHECK_THROWS_AS(static_cast<void>(ctx.poll()), DeviceError);
  CHECK_THROWS_AS(static_cast<void>(ctx.try_queue({Deed::add})), DeviceError);
  CHECK_THROWS_AS(static_cast<void>(ctx.flush(1h)), DeviceError);
  CHECK_THROWS_AS(static_cast<void>(ctx.park(1h)), DeviceError);
  CHECK_THROWS_AS(ctx.execute_batch(std::vector<Task>(3)), DeviceError);
  CHECK(ctx.stats().submitted == 3);
  CHECK(ctx.stats().completed == 2);
  CHECK(ctx.stats().dropped == 1);
  CHECK(ctx.shutdown(StopMode::abort, 1s));
}

__global__ void fail_alone(std::uint32_t* nowhere, bool traps) {
  if (traps) __trap();
  *nowhere = 1;
}

/// What `cudaDeviceSynchronize` takes to tell: no library can know earlier.
TEST_CASE("child: a plain kernel faults" * doctest::skip()) {
  const bool traps = environment("AATGS_TEST_TRAPS", 0) != 0;
  const auto begin = Clock::now();
  fail_alone<<<1, 1>>>(reinterpret_cast<std::uint32_t*>(std::uintptr_t{16}), traps);
  const cudaError_t error = cudaDeviceSynchronize();
  note("%.1f ms: %s from CUDA alone", ms_since(begin), cudaGetErrorName(error));
  CHECK(error == (traps ? cudaErrorLaunchFailure : cudaErrorIllegalAddress));
  end_case();
}

TEST_CASE("child: a step writes to a wild address" * doctest::skip()) {
  const bool polls = environment("AATGS_TEST_POLLS", 0) != 0;
  check_fault(options_of_child(), Deed::wild, polls, "cudaErrorIllegalAddress");
  end_case();
}

TEST_CASE("child: a step traps" * doctest::skip()) {
  const bool polls = environment("AATGS_TEST_POLLS", 0) != 0;
  check_fault(options_of_child(), Deed::trap, polls, "cudaErrorLaunchFailure");
  end_case();
}

TEST_CASE("child: a block never reaches the barrier" * doctest::skip()) {
  {
    ContextOptions options = options_of_child();
    options.step_deadline = 200ms;
    Wreck wreck(options);
    const auto begin = Clock::now();
    REQUIRE(wreck.ctx->queue({Deed::missing}));
    std::string what;
    try {
      static_cast<void>(wreck.ctx->wait(10s));
    } catch (const DeviceError& e) {
      what = e.what();
      CHECK(e.code_name() == "cudaErrorLaunchFailure");
    }
    note("%.1f ms: %s", ms_since(begin), what.c_str());
    CHECK(ms_since(begin) >= 200);
    CHECK(contains(what, "grid barrier, ticket 1, block "));
    CHECK(contains(wreck.ctx->hang_report(), "grid barrier, ticket 1, block "));
  }
  end_case();
}

TEST_CASE("ending: a step that never returns holds shutdown, the destructor or the process") {
  const Watchdog watchdog("stuck steps");
  check_case("child: a step never returns", as(ExecutorKind::resident, Scope::block));
  check_case("child: a step never returns", as(ExecutorKind::resident, Scope::grid));
  check_case("child: a step never returns", as(ExecutorKind::launch_queue, Scope::block));
  check_case("child: a step never returns", as(ExecutorKind::triple_buffer, Scope::grid));
  check_case("child: a step never returns", as(ExecutorKind::graph_queue, Scope::grid));
}

TEST_CASE("ending: a port whose step is stuck keeps the words that the next one's end writes to") {
  LaunchOrders orders(0);
  orders.words.abandon();
  orders.request_abort();
  CHECK(orders.has_ended);
}

TEST_CASE("ending: a step that faults is not named, or a host that waits or polls goes on") {
  const Watchdog watchdog("faulting steps");
  const auto check = [](const char* what, ExecutorKind executor, Scope scope, bool polls) {
    auto environment = as(executor, scope);
    environment.push_back(std::string("AATGS_TEST_POLLS=") + (polls ? "1" : "0"));
    check_case(what, environment);
  };
  check_case("child: a plain kernel faults", {"AATGS_TEST_TRAPS=0"});
  check_case("child: a plain kernel faults", {"AATGS_TEST_TRAPS=1"});
  const char* const wild = "child: a step writes to a wild address";
  const char* const trap = "child: a step traps";
  check(wild, ExecutorKind::resident, Scope::block, false);
  check(wild, ExecutorKind::resident, Scope::grid, true);
  check(trap, ExecutorKind::resident, Scope::block, true);
  check(trap, ExecutorKind::resident, Scope::grid, false);
  check(wild, ExecutorKind::launch_queue, Scope::block, true);
  check(trap, ExecutorKind::launch_queue, Scope::grid, false);
  check(wild, ExecutorKind::triple_buffer, Scope::grid, false);
  check(trap, ExecutorKind::triple_buffer, Scope::block, true);
  check(wild, ExecutorKind::graph_queue, Scope::grid, true);
  check(trap, ExecutorKind::graph_queue, Scope::grid, false);
}

TEST_CASE("deadline: a block that never reaches a barrier hangs the grid without a word") {
  const Watchdog watchdog("missing block");
  check_case("child: a block never reaches the barrier", as(ExecutorKind::resident, Scope::grid));
  check_case("child: a block never reaches the barrier",
             as(ExecutorKind::launch_queue, Scope::grid));
  check_case("child: a block never reaches the barrier",
             as(ExecutorKind::triple_buffer, Scope::grid));
}

// ---- in this process ---------------------------------------------------------------------------

TestContext make_on_gpu(StepMemory& memory, const ContextOptions& options) {
  if (options.executor == ExecutorKind::graph_queue) {
    return make_context<Order, Report>(loose(memory.step()), options);
  }
  return make_context<Order, Report>(memory.step(), options);
}

template <class Body>
void for_each_scope(std::initializer_list<ExecutorKind> executors, Body body) {
  for (const ExecutorKind executor : executors) {
    for (const Scope scope : {Scope::block, Scope::grid}) {
      if (executor == ExecutorKind::graph_queue && scope == Scope::block) continue;
      const std::string name =
          std::string(to_string(executor)) + ", " + std::string(to_string(scope));
      SUBCASE(name.c_str()) {
        const Watchdog watchdog(name);
        ContextOptions options;
        options.executor = executor;
        options.scope = scope;
        body(options);
      }
    }
  }
}

/// Runs orders, checks each, and says what went wrong.
Tally run_orders(TestContext& ctx, std::uint64_t first, std::uint64_t count) {
  const auto is_right = [first](std::uint64_t i, const Report& report) {
    return is_report_of(hash_order(i), report) && report.ticket == first + i;
  };
  return run_all(ctx, first, count, hash_order, is_right);
}

constexpr auto resident = ExecutorKind::resident;
constexpr auto launch_queue = ExecutorKind::launch_queue;
constexpr auto triple_buffer = ExecutorKind::triple_buffer;
constexpr auto graph_queue = ExecutorKind::graph_queue;

TEST_CASE("ending: another thread aborts, and the owner goes on waiting, or work is miscounted") {
  for_each_scope({resident, launch_queue, graph_queue, triple_buffer, ExecutorKind::automatic},
                 [](auto options) { check_abort_from_another_thread(make_on_gpu, options); });
  for_each_scope({ExecutorKind::launch, ExecutorKind::graph}, [](auto options) {
    check_abort_from_another_thread(make_on_gpu, options, false);
  });
}

TEST_CASE("ending: a context that was aborted before its first config waits for it") {
  for_each_scope({resident, launch_queue, graph_queue, triple_buffer, ExecutorKind::automatic,
                  ExecutorKind::launch},
                 [](auto options) { check_abort_before_anything(make_on_gpu, options); });
}

TEST_CASE("ending: polls after a shutdown throw, or give what was given up") {
  for_each_scope({resident, launch_queue, graph_queue, triple_buffer, ExecutorKind::automatic,
                  ExecutorKind::launch},
                 [](auto options) { check_polls_after_the_end(make_on_gpu, options); });
}

TEST_CASE("ending: an exception leaves work running, or waits for it") {
  for_each_scope({resident, launch_queue, graph_queue, triple_buffer, ExecutorKind::automatic},
                 [](auto options) { check_unwinding(make_on_gpu, options); });
}

TEST_CASE("ending: the hang report is empty, or names the wrong ticket") {
  for_each_scope({resident, launch_queue, graph_queue, triple_buffer}, [](auto options) {
    check_hang_report(make_on_gpu, options, options.executor == launch_queue ? "" : "not taken");
    check_hang_report_of_small_rings(make_on_gpu, options);
  });
}

TEST_CASE("ending: a parked kernel does not drain or abort, or what is queued then is miscounted") {
  for_each_scope({resident}, [](auto options) {
    for (const StopMode mode : {StopMode::drain, StopMode::abort}) {
      for (const std::uint64_t behind : {0U, 1U, 16U}) {  // queued when it has parked
        CAPTURE(behind);
        options.config_slots = options.telemetry_slots = 16;
        StepMemory memory(options);
        TestContext ctx = make_on_gpu(memory, options);
        CHECK(run_orders(ctx, 0, 50).clean());
        REQUIRE(ctx.park(5s));
        for (std::uint64_t i = 0; i < behind; ++i) REQUIRE(ctx.try_queue(hash_order(i)));
        CHECK(ctx.shutdown(mode, 5s));
        std::uint64_t polled = 50;
        while (ctx.poll()) ++polled;
        const ExecutionStatistics s = ctx.stats();
        CHECK(s.submitted == 50 + behind);
        CHECK(s.completed == polled);
        CHECK(s.in_flight == 0);
        if (mode == StopMode::drain) CHECK(s.dropped == 0);
        CHECK(is_balanced(s));
        CHECK(memory.get(Word::entered) == memory.get(Word::left));
      }
    }
  });
}

TEST_CASE("ending: an abort does not reach a step while the kernel leaves to yield") {
  for_each_scope({resident}, [](auto options) {
    options.leave_after = 1;
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    REQUIRE(ctx.queue(hold_order()));
    REQUIRE(memory.wait_for_held(1));
    std::this_thread::sleep_for(5ms);  // it has begun to leave
    SUBCASE("shutdown") {
      CHECK(ctx.shutdown(StopMode::abort, 10s));
    }
    SUBCASE("request_abort") {
      ctx.request_abort();
      CHECK(eventually([&] { return memory.get(Word::aborted) == 1; }));
      CHECK(ctx.shutdown(StopMode::abort, 10s));
    }
    CHECK(memory.get(Word::aborted) == 1);
  });
}

/// What another library in the process does. How long the longest call took.
double use_the_gpu_otherwise() {
  double longest = 0;
  const auto time = [&](auto call) {
    const auto begin = Clock::now();
    CHECK(call() == cudaSuccess);
    longest = std::max(longest, ms_since(begin));
  };
  void* data = nullptr;
  int word = 5;
  time([&] { return cudaDeviceSynchronize(); });
  time([&] { return cudaMalloc(&data, 1 << 20); });
  time([&] { return cudaMemcpy(data, &word, sizeof word, cudaMemcpyHostToDevice); });
  time([&] { return cudaMemcpy(&word, data, sizeof word, cudaMemcpyDeviceToHost); });
  time([&] { return cudaFree(data); });
  CHECK(word == 5);
  return longest;
}

TEST_CASE("parking: after park() others wait for the GPU, or the next config is not run") {
  for_each_scope({resident}, [](auto options) {
    for (const auto park_after : {0ms, 60'000ms}) {  // by itself it would stay
      CAPTURE(park_after.count());
      options.park_after = park_after;
      StepMemory memory(options);
      TestContext ctx = make_on_gpu(memory, options);
      std::uint64_t next = 0;
      double longest = 0;
      for (int round = 0; round < 5; ++round) {
        CHECK(run_orders(ctx, next, 50).clean());
        next += 50;
        REQUIRE(ctx.park(5s));
        longest = std::max(longest, use_the_gpu_otherwise());
        ContextOptions other = options;                              // wants all SMs
        if (park_after.count() == 0) other.executor = launch_queue;  // preflight refuses another
        StepMemory others_memory(other);
        TestContext others = make_on_gpu(others_memory, other);
        CHECK(run_orders(others, 0, 50).clean());
      }
      CHECK(ctx.stats().parks == 4);
      CHECK(longest < 2000);
      MESSAGE("longest call of another beside a parked kernel: " << longest << " ms");
    }
  });
}

TEST_CASE("parking: polls of an idle context bring its kernel back") {
  for_each_scope({resident}, [](auto options) {
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    CHECK(run_orders(ctx, 0, 10).clean());
    REQUIRE(ctx.park(5s));
    const std::uint32_t entered = memory.get(Word::entered);
    const std::uint64_t parks = ctx.stats().parks;
    for (int i = 0; i < 1 << 17; ++i) REQUIRE_FALSE(ctx.poll());
    CHECK(ctx.stats().parks == parks);
    CHECK(memory.get(Word::entered) == entered);
    CHECK(run_orders(ctx, 10, 10).clean());
  });
}

TEST_CASE("parking: park() in the middle of work stops it, or waits for ever") {
  for_each_scope({resident}, [](auto options) {
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    REQUIRE(ctx.queue(hold_order()));
    REQUIRE(memory.wait_for_held(1));
    CHECK_FALSE(ctx.park(20ms));
    memory.set(Word::gate, 1);
    for (int i = 0; i < 5; ++i) REQUIRE(ctx.queue(hash_order(0)));
    CHECK(ctx.park(5s));
    CHECK(ctx.stats().completed == 6);
    CHECK(ctx.park(5s));  // it has parked
    REQUIRE(ctx.shutdown(StopMode::drain, 5s));
    CHECK(ctx.park(5s));
  });
}

TEST_CASE("parking: an idle context keeps others waiting for longer than park_after") {
  for_each_scope({resident}, [](auto options) {
    options.park_after = 5ms;
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    void* data = nullptr;
    REQUIRE(cudaMalloc(&data, 1 << 20) == cudaSuccess);
    double synchronize = 0;
    double free = 0;
    for (std::uint64_t i = 0; i < 10; ++i) {
      CHECK(run_orders(ctx, i, 1).clean());
      const auto begin = Clock::now();
      if (i == 9) {
        CHECK(cudaFree(data) == cudaSuccess);
        free = ms_since(begin);
      } else {
        CHECK(cudaDeviceSynchronize() == cudaSuccess);
        synchronize = std::max(synchronize, ms_since(begin));
      }
    }
    MESSAGE("park_after = 5 ms: cudaDeviceSynchronize at most " << synchronize << " ms, cudaFree "
                                                                << free << " ms");
    CHECK(synchronize < 2000);
    CHECK(free < 2000);
  });
}

TEST_CASE("yield: configs are lost or doubled where the kernel leaves under load") {
  for_each_scope({resident}, [](auto options) {
    options.leave_after = 100;
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    const Tally tally = run_orders(ctx, 0, 10'000);
    INFO(tally);
    CHECK(tally.clean());
    const std::uint64_t parks = ctx.stats().parks;
    MESSAGE("leave_after = 100, 10,000 configs: left " << parks << " times");
    CHECK(parks <= 101);
    CHECK(parks >= 3);  // block scope: those that are on their way are still taken
    REQUIRE(ctx.shutdown(StopMode::drain, 5s));
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  });
}

TEST_CASE("yield: one of two contexts that both want the whole GPU starves") {
  for_each_scope({resident}, [](auto options) {
    options.leave_after = 100;
    StepMemory memories[] = {StepMemory(options), StepMemory(options)};
    TestContext contexts[] = {make_on_gpu(memories[0], options), make_on_gpu(memories[1], options)};
    constexpr std::uint64_t count = 2000;
    Checklist lists[] = {Checklist(0, count), Checklist(0, count)};
    std::uint64_t queued[] = {0, 0};
    std::uint64_t others_progress = 0;  // of the second, while the first had work left
    const auto is_right = [](std::uint64_t i, const Report& report) {
      return is_report_of(hash_order(i), report);
    };
    for (Patience patience;
         lists[0].returned() + lists[1].returned() < 2 * count && patience.lasts();) {
      for (int c = 0; c < 2; ++c) {
        while (queued[c] < count && contexts[c].try_queue(hash_order(queued[c]))) ++queued[c];
        while (const auto done = contexts[c].poll()) {
          lists[c].tick(*done, is_right);
          patience.progress();
        }
      }
      if (lists[0].returned() < count) others_progress = lists[1].returned();
    }
    CHECK(lists[0].tally().clean());
    CHECK(lists[1].tally().clean());
    CHECK(others_progress > 0);
    MESSAGE("when the first was done with " << count << ", the second had done "
                                            << others_progress);
  });
}

/// A bounded kernel runs what is queued when the host polls, and leaves.
void check_bounded(ContextOptions options) {
  options.executor = resident;
  options.bounded = true;
  options.config_slots = options.telemetry_slots = 256;
  StepMemory memory(options);
  TestContext ctx = make_on_gpu(memory, options);
  std::uint64_t ticket = 0;
  for (const std::uint64_t count : {1U, 7U, 256U, 2U, 200U}) {
    CAPTURE(count);
    const std::uint32_t entered = memory.get(Word::entered);
    Checklist list(ticket, count);
    for (std::uint64_t i = 0; i < count; ++i) REQUIRE(ctx.try_queue(hash_order(i)));
    std::this_thread::sleep_for(2ms);
    CHECK(memory.get(Word::entered) == entered);  // nobody has polled
    const auto is_right = [](std::uint64_t i, const Report& report) {
      return is_report_of(hash_order(i), report);
    };
    for (Patience patience; list.returned() < count && patience.lasts();) {
      if (const auto done = ctx.poll()) list.tick(*done, is_right);
    }
    INFO(list.tally());
    CHECK(list.tally().clean());
    ticket += count;
    CHECK(cudaDeviceSynchronize() == cudaSuccess);  // it has left
    CHECK(memory.get(Word::entered) > entered);
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  }
  const auto results = ctx.execute_batch(std::vector<Order>(1000, hash_order(3)));
  for (const auto& done : results) REQUIRE(is_report_of(hash_order(3), done.telemetry));
  REQUIRE(ctx.queue(hash_order(1)));
  CHECK(ctx.flush(10s));
  REQUIRE(ctx.queue(hash_order(1)));
  CHECK(ctx.shutdown(StopMode::drain, 10s));
  CHECK(ctx.stats().completed == ticket + 1002);
  CHECK(is_balanced(ctx.stats()));
}

TEST_CASE("child: bounded" * doctest::skip()) {
  for (const Scope scope : {Scope::block, Scope::grid}) {
    ContextOptions options;
    options.scope = scope;
    check_bounded(options);
  }
  end_case();
}

TEST_CASE("bounded: the kernel runs before it is asked to, loses configs, or stays") {
  for_each_scope({resident}, [](auto options) { check_bounded(options); });
}

TEST_CASE("bounded: it hangs where launches are serialised") {
  const Watchdog watchdog("bounded, serialised");
  check_case("child: bounded", {"CUDA_LAUNCH_BLOCKING=1"});
}

TEST_CASE("bounded: an abort does not reach the step at work") {
  for_each_scope({resident}, [](auto options) {
    options.bounded = true;
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    REQUIRE(ctx.queue(hold_order()));
    CHECK_FALSE(ctx.poll());  // launches it
    REQUIRE(memory.wait_for_held(1));
    CHECK(ctx.shutdown(StopMode::abort, 10s));
    CHECK(memory.get(Word::aborted) == 1);
  });
}

TEST_CASE("preflight: a context waits for ever for one that never parks, or for one that does") {
  for_each_scope({resident}, [](auto options) {
    options.park_after = 0ms;
    StepMemory memory(options);
    {
      TestContext stays = make_on_gpu(memory, options);
      CHECK(run_orders(stays, 0, 10).clean());
      std::string what;
      try {
        make_on_gpu(memory, options);
      } catch (const OptionError& e) {
        what = e.what();
      }
      INFO(what);
      CHECK(contains(what, "1 of which never parks"));
      CHECK(contains(what, "one would keep another out for ever: give each a share of the GPU"));
      CHECK(run_orders(stays, 10, 10).clean());
    }
    options.park_after = 2ms;
    TestContext first = make_on_gpu(memory, options);
    TestContext second = make_on_gpu(memory, options);
    for (std::uint64_t round = 0; round < 3; ++round) {
      CHECK(run_orders(first, 10 * round, 10).clean());
      CHECK(run_orders(second, 10 * round, 10).clean());
    }
  });
}

__global__ void spin_kernel(std::uint64_t ns) {
  for (const std::uint64_t begin = step_clock_ns(); step_clock_ns() - begin < ns;) {
  }
}

/// Takes all threads of all SMs.
void hold_the_gpu(std::chrono::nanoseconds time, cudaStream_t stream) {
  int sms = 0;
  int per_sm = 0;
  cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0);
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, spin_kernel, 1024, 0);
  spin_kernel<<<static_cast<unsigned>(sms * per_sm), 1024, 0, stream>>>(
      static_cast<std::uint64_t>(time.count()));
  REQUIRE(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("deadline: a kernel that finds no place on the GPU is waited for without a word") {
  for_each_scope({resident}, [](auto options) {
    options.start_deadline = 100ms;
    cudaFuncAttributes attributes{};  // loaded now
    REQUIRE(cudaFuncGetAttributes(&attributes, spin_kernel) == cudaSuccess);
    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    StepMemory memory(options);
    TestContext ctx = make_on_gpu(memory, options);
    CHECK(run_orders(ctx, 0, 10).clean());
    REQUIRE(ctx.park(5s));
    hold_the_gpu(700ms, stream);
    REQUIRE(ctx.queue(hash_order(10)));
    std::string what;
    const auto begin = Clock::now();
    try {
      static_cast<void>(ctx.flush(10s));
    } catch (const TimeoutError& e) {
      what = e.what();
    }
    MESSAGE("start_deadline = 100 ms: told after " << ms_since(begin) << " ms");
    INFO(what);
    CHECK(contains(what, "the resident kernel has not started on device 0"));
    CHECK(contains(what, "kernels of this one may hold SMs"));
    CHECK(ctx.stats().in_flight == 1);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    const auto done = ctx.wait(10s);
    REQUIRE(done);
    CHECK(is_report_of(hash_order(10), done->telemetry));
    CHECK(run_orders(ctx, 11, 10).clean());
    cudaStreamDestroy(stream);
  });
}

}  // namespace
}  // namespace aatgs::test
