// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_context.hpp>
#include <cstdlib>
#include <functional>
#include <string>

namespace aatgs {
namespace {

using namespace std::chrono_literals;

struct Nothing {
  template <class Group>
  void operator()(Group&, const int&, int&) const {}
};

/// The message of the `Expected` that `call` throws; empty if it throws none.
template <class Expected, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.what();
  } catch (...) {
  }
  return {};
}

/// What a context with these options is refused with.
std::string refusal(const std::function<void(ContextOptions&)>& change) {
  ContextOptions options;
  options.executor = ExecutorKind::cpu;
  options.cpu_threads = 1;
  change(options);
  return message_of<OptionError>([&] { make_cpu_context<int, int>(Nothing{}, options); });
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("options: a ring size that is no power of two is taken, or not named") {
  for (const std::uint32_t slots : {0U, 3U, 1000U, 1U << 21}) {
    CAPTURE(slots);
    const std::string size = " = " + std::to_string(slots) + " ";
    const std::string config = refusal([&](ContextOptions& o) { o.config_slots = slots; });
    CHECK(contains(config, "config_slots" + size));
    CHECK(contains(config, "1048576"));  // the limit
    const std::string telemetry = refusal([&](ContextOptions& o) { o.telemetry_slots = slots; });
    CHECK(contains(telemetry, "telemetry_slots" + size));
  }
}

/// An environment variable, for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST_CASE("options: the environment does not set the slots, or sets what the program has set") {
  CHECK(ContextOptions{}.config_slots == 1024);
  const Variable config("AATGS_CONFIG_SLOTS", "64");
  CHECK(ContextOptions{}.telemetry_slots == 1024);
  const Variable telemetry("AATGS_TELEMETRY_SLOTS", "16");
  const ContextOptions left;
  CHECK(left.config_slots == 64);
  CHECK(left.telemetry_slots == 16);
  const ContextOptions set{.config_slots = 1024};  // the default, but the program's own word
  CHECK(set.config_slots == 1024);
  CHECK(set.telemetry_slots == 16);
  ContextOptions later;
  later.telemetry_slots = 8;
  later.executor = ExecutorKind::cpu;
  const auto context = make_cpu_context<int, int>(Nothing{}, later);
  CHECK(context.stats().config_ring.slots == 64);
  CHECK(context.stats().telemetry_ring.slots == 8);
}

TEST_CASE("options: a bad value in the environment is ignored, or the variable not named") {
  for (const char* value : {"", "abc", "3", "0", "-64", "+64", " 64", "64 ", "64k", "0x40", "64.0",
                            "4294967360", "99999999999999999999", "2097152"}) {
    CAPTURE(value);
    const Variable config("AATGS_CONFIG_SLOTS", value);
    const std::string wanted = "AATGS_CONFIG_SLOTS='" + std::string(value) + "'";
    CHECK(contains(refusal([](ContextOptions&) {}), wanted));
    CHECK(refusal([](ContextOptions& o) { o.config_slots = 64; }).empty());
    CHECK_FALSE(contains(refusal([](ContextOptions& o) { o.config_slots = 77; }), "AATGS"));
  }
  const Variable telemetry("AATGS_TELEMETRY_SLOTS", "1000");
  CHECK(contains(refusal([](ContextOptions&) {}), "telemetry_slots = 1000 is not a power of two"));
  CHECK(contains(refusal([](ContextOptions&) {}), "AATGS_TELEMETRY_SLOTS='1000'"));
}

TEST_CASE("options: another value that cannot work is taken, or not named") {
  CHECK(
      contains(refusal([](ContextOptions& o) { o.queue_deadline = -1ns; }), "queue_deadline = -1"));
  CHECK(contains(refusal([](ContextOptions& o) { o.park_after = -7ns; }), "park_after = -7"));
  CHECK(contains(refusal([](ContextOptions& o) { o.step_deadline = 0ns; }), "step_deadline = 0"));
  CHECK(contains(refusal([](ContextOptions& o) { o.start_deadline = 0ns; }), "start_deadline = 0"));
  CHECK(contains(refusal([](ContextOptions& o) { o.start_deadline = -3ns; }),
                 "start_deadline = -3 ns: a launch needs time to start"));
  CHECK(contains(refusal([](ContextOptions& o) { o.hot_window = 0; }), "hot_window = 0"));
  CHECK(contains(refusal([](ContextOptions& o) { o.ports = 0; }), "ports = 0"));
  CHECK(contains(refusal([](ContextOptions& o) { o.ports = 17; }), "ports = 17"));
  CHECK(contains(refusal([](ContextOptions& o) { o.ports = 2; }), "cpu_threads = 1"));
  CHECK(contains(refusal([](ContextOptions& o) {
                   o.ports = 2;
                   o.scope = Scope::grid;
                 }),
                 "grid scope"));
  CHECK(contains(refusal([](ContextOptions& o) { o.cpu_threads = 5000; }), "cpu_threads = 5000"));
  CHECK(contains(refusal([](ContextOptions& o) { o.device = -1; }), "device = -1"));
}

TEST_CASE("options: a triple buffer without a slot, or with more than one holds, is taken") {
  for (const std::uint32_t slots : {0U, 17U}) {
    CHECK(contains(refusal([&](ContextOptions& o) { o.buffer_slots = slots; }),
                   "buffer_slots = " + std::to_string(slots) + " is not from 1 to 16"));
  }
  CHECK(refusal([](ContextOptions& o) { o.buffer_slots = 16; }).empty());
}

TEST_CASE("options: a first ticket so near the end of 64 bits that no config finds room is taken") {
  CHECK(contains(refusal([](ContextOptions& o) { o.first_ticket = ~std::uint64_t{0}; }),
                 "first_ticket = 18446744073709551615 is above 9223372036854775808"));
  CHECK(refusal([](ContextOptions& o) { o.first_ticket = max_first_ticket; }).empty());
}

TEST_CASE("options: an integer that is no enumerator stands for one") {
  CHECK(contains(refusal([](ContextOptions& o) { o.executor = static_cast<ExecutorKind>(-1); }),
                 "executor = -1 is no"));
  CHECK(contains(refusal([](ContextOptions& o) { o.scope = static_cast<Scope>(2); }),
                 "scope = 2 is no"));
  CHECK(contains(refusal([](ContextOptions& o) { o.config_policy = static_cast<ConfigPolicy>(9); }),
                 "config_policy = 9 is no"));
  CHECK(contains(
      refusal([](ContextOptions& o) { o.telemetry_policy = static_cast<TelemetryPolicy>(3); }),
      "telemetry_policy = 3 is no"));
}

TEST_CASE("options: make_cpu_context takes an executor that it cannot make") {
  for (const auto kind : {ExecutorKind::resident, ExecutorKind::launch_queue, ExecutorKind::launch,
                          ExecutorKind::graph, ExecutorKind::triple_buffer}) {
    const std::string message = refusal([&](ContextOptions& o) { o.executor = kind; });
    CHECK(contains(message, "'" + std::string(to_string(kind)) + "'"));
  }
  CHECK(refusal([](ContextOptions& o) { o.executor = ExecutorKind::automatic; }).empty());
  CHECK(refusal([](ContextOptions& o) { o.executor = ExecutorKind::cpu_triple_buffer; }).empty());
}

struct GridOnlyStep {
  static constexpr bool grid_only = true;
  template <class Group>
  void operator()(Group&, const int&, int&) const {}
};

TEST_CASE("options: a step for grid scope alone is run in block scope") {
  for (const auto kind : {ExecutorKind::cpu, ExecutorKind::cpu_triple_buffer}) {
    ContextOptions options;
    options.executor = kind;
    options.cpu_threads = 1;
    CHECK_THROWS_WITH_AS((make_cpu_context<int, int>(GridOnlyStep{}, options)),
                         doctest::Contains("scope = block"), OptionError);
    options.scope = Scope::grid;
    CHECK_NOTHROW((make_cpu_context<int, int>(GridOnlyStep{}, options)));
  }
}

TEST_CASE("options: a name is parsed as another one, or an unknown one is taken") {
  for (const auto kind :
       {ExecutorKind::automatic, ExecutorKind::resident, ExecutorKind::launch_queue,
        ExecutorKind::graph_queue, ExecutorKind::launch, ExecutorKind::graph,
        ExecutorKind::triple_buffer, ExecutorKind::cpu, ExecutorKind::cpu_triple_buffer}) {
    CHECK(parse_executor(to_string(kind)) == kind);
  }
  for (const Scope scope : {Scope::block, Scope::grid})
    CHECK(parse_scope(to_string(scope)) == scope);

  for (const std::string wrong : {"gpu", "", "CPU", "cpu "}) {
    const std::string message = message_of<OptionError>([&] { parse_executor(wrong); });
    CHECK(contains(message, "executor '" + wrong + "'"));
    CHECK(contains(message,
                   "automatic, resident, launch_queue, graph_queue, launch, graph, triple_buffer, "
                   "cpu, cpu_triple_buffer"));
  }
  const std::string message = message_of<OptionError>([] { parse_scope("warp"); });
  CHECK(contains(message, "scope 'warp'"));
  CHECK(contains(message, "block, grid"));
}

TEST_CASE("executor: asked for a GPU where there is none, another one is taken in silence") {
  if (why_no_gpu(0).empty()) return;
  for (const auto kind :
       {ExecutorKind::resident, ExecutorKind::launch_queue, ExecutorKind::graph_queue,
        ExecutorKind::launch, ExecutorKind::graph, ExecutorKind::triple_buffer}) {
    const auto ask = [&] { choose_executor(kind, 0); };
    const std::string message = message_of<DeviceError>(ask);
    CHECK(contains(message, "'" + std::string(to_string(kind)) + "'"));
    CHECK(contains(message, why_no_gpu(0)));
  }
  // Host threads in place of CUDA streams are asked for by a name of their own.
  CHECK(contains(message_of<DeviceError>([] { choose_executor(ExecutorKind::triple_buffer, 0); }),
                 "'cpu_triple_buffer'"));
  CHECK(choose_executor(ExecutorKind::cpu_triple_buffer, 0).kind ==
        ExecutorKind::cpu_triple_buffer);
  try {
    choose_executor(ExecutorKind::resident, 0);
  } catch (const DeviceError& error) {
    CHECK(contains(error.code_name(), "cudaError"));
  }
  CHECK_THROWS_AS(Buffer<int>(MemoryKind::device, 4), DeviceError);
  CHECK_THROWS_AS(Buffer<int>(MemoryKind::mapped, 4), DeviceError);
}

TEST_CASE("executor: automatic does not say what it has come to, and why") {
  const ExecutorChoice choice = choose_executor(ExecutorKind::automatic, 0);
  CHECK(choice.kind == (why_no_gpu(0).empty() ? ExecutorKind::resident : ExecutorKind::cpu));
  CHECK_FALSE(choice.reason.empty());
  CHECK_FALSE(why_no_gpu(1000).empty());
  CHECK(choose_executor(ExecutorKind::automatic, 1000).kind == ExecutorKind::cpu);
}

}  // namespace
}  // namespace aatgs
