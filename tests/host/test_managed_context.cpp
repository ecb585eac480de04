// SPDX-License-Identifier: Apache-2.0
// Managed contexts on host threads, and what their options may say.
#include <aatgs/host/make_cpu_managed_context.hpp>

#include "context_test_support.hpp"

namespace aatgs::test {

struct ManagedVariant {
  std::string name;
  ManagedOptions options;
};

struct ManagedBackend {
  static std::vector<ManagedVariant> variants() {
    std::vector<ManagedVariant> all;
    for (const StepMode mode : {StepMode::sync, StepMode::triple_buffered, StepMode::resident}) {
      for (const Scope scope : {Scope::block, Scope::grid}) {
        ManagedOptions options;
        options.step_mode = mode;
        options.host_threads = true;
        options.context.scope = scope;
        options.context.cpu_threads = 2;
        all.push_back(
            {std::string(to_string(mode)) + ", " + std::string(to_string(scope)), options});
      }
    }
    return all;
  }
  template <class Config, class Telemetry, class Step>
  static ManagedGpuContext<Config, Telemetry> make(const Step& step,
                                                   const ManagedOptions& options) {
    return make_cpu_managed_context<Config, Telemetry>(step, options);
  }
};

}  // namespace aatgs::test

#include "managed_suite.hpp"

namespace aatgs::test {

struct NextStep {
  template <class Group>
  void operator()(Group& group, const int& config, int& out) const {
    if (group.rank() == 0) out = config + 1;
  }
};

/// What making one throws with these options; empty: nothing.
template <class Change>
std::string refusal(Change change) {
  ManagedOptions options;
  change(options);
  try {
    (void)make_cpu_managed_context<int, int>(NextStep{}, options);
  } catch (const OptionError& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("managed: options that contradict each other are taken, or not named") {
  CHECK(refusal([](ManagedOptions&) {}).empty());
  CHECK(contains(refusal([](ManagedOptions& o) {
                   o.step_mode = StepMode::sync;
                   o.context.executor = ExecutorKind::cpu;
                 }),
                 "step_mode 'sync' with executor 'cpu'"));
  CHECK(contains(refusal([](ManagedOptions& o) {
                   o.host_threads = true;
                   o.context.executor = ExecutorKind::graph;
                 }),
                 "host_threads = true with executor 'graph'"));
  CHECK(contains(refusal([](ManagedOptions& o) { o.step_mode = static_cast<StepMode>(7); }),
                 "step_mode = 7 is no enumerator"));
  const auto same = [](ManagedOptions& o) {
    o.host_threads = true;
    o.step_mode = StepMode::resident;
    o.context.executor = ExecutorKind::cpu;
  };
  CHECK(refusal(same).empty());
}

TEST_CASE("managed: without a GPU, host threads stand in for one in silence") {
  for (const auto& [mode, executor] : {std::pair{StepMode::sync, "'launch'"},
                                       {StepMode::triple_buffered, "'triple_buffer'"},
                                       {StepMode::resident, "'resident'"}}) {
    CHECK(contains(refusal([mode = mode](ManagedOptions& o) { o.step_mode = mode; }), executor));
    if (why_no_gpu(0).empty()) continue;
    ManagedOptions options;
    options.step_mode = mode;
    CHECK_THROWS_AS((void)memory_of(options), DeviceError);
    options.host_threads = true;
    CHECK(memory_of(options) == MemoryKind::host);
  }
}

TEST_CASE("managed: a step mode is parsed as another one, or an unknown one is taken") {
  for (const StepMode mode : {StepMode::sync, StepMode::triple_buffered, StepMode::resident}) {
    CHECK(parse_step_mode(to_string(mode)) == mode);
  }
  CHECK_THROWS_WITH_AS(parse_step_mode("async"),
                       "unknown step_mode 'async': choose one of sync, triple_buffered, resident",
                       OptionError);
}

TEST_CASE("managed: a step is run although its telemetry may be lost") {
  ManagedOptions options;
  options.context.telemetry_policy = TelemetryPolicy::drop_newest;
  auto managed = make_cpu_managed_context<int, int>(NextStep{}, options);
  CHECK_THROWS_AS((void)managed.step(1), UseError);
  CHECK_THROWS_AS((void)managed.triple_buffered_step(1), UseError);
  CHECK(managed.context().stats().submitted == 0);
}

TEST_CASE("managed: a moved one loses its streams, or the steps on their way") {
  ManagedOptions options;
  options.step_mode = StepMode::triple_buffered;
  options.host_threads = true;
  auto first = make_cpu_managed_context<int, int>(NextStep{}, options);
  const std::uint64_t id = first.stream(StreamPurpose::kernel_execution).id();
  CHECK_FALSE(first.triple_buffered_step(41));
  auto second = std::move(first);
  CHECK(second.finish().front().telemetry == 42);
  bool is_there = false;  // two of them take turns
  for (int i = 0; i < 2; ++i) {
    is_there = is_there || second.stream(StreamPurpose::kernel_execution).id() == id;
  }
  CHECK(is_there);
}

}  // namespace aatgs::test
