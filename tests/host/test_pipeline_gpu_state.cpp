// SPDX-License-Identifier: Apache-2.0
// The streams of a solver's phases, on host threads.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/pipeline_gpu_state.hpp>
#include <mutex>
#include <set>
#include <stdexcept>

#include "stream_gate.hpp"

namespace aatgs::test {
namespace {

PipelineGpuState make_state(const PipelineGpuOptions& options = {}) {
  return PipelineGpuState(make_cpu_stream_device(), options);
}

template <class Kind, class Make>
std::string message_of(Make make) {
  try {
    make();
  } catch (const Kind& error) {
    return error.what();
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("phases: which stream one has depends on who asks first, or two have the same") {
  PipelineGpuState first = make_state({.phases = {"anneal"}});
  PipelineGpuState second = make_state({.phases = {"anneal"}});
  const std::vector<std::string>& names = first.phases();
  CHECK(names.size() == 10);
  CHECK(names.back() == "anneal");
  CHECK(first.stream_count() == names.size());
  std::set<std::uint64_t> ids;
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    ids.insert(first.stream(*name).id());
    CHECK(&first.stream(*name) == &first.stream(*name));
  }
  CHECK(ids.size() == names.size());
  for (const std::string& name : names) {
    CHECK(first.stream_number(name) == second.stream_number(name));
  }
}

TEST_CASE("phases: more of them than streams: some have none") {
  PipelineGpuState state = make_state({.streams = 4});
  CHECK(state.stream_count() == 4);
  const std::vector<std::string>& names = state.phases();
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(state.stream_number(names[i]) == i % 4);
  CHECK(make_state({.streams = 64}).stream_count() == names.size());
}

/// What two phases write, the first of which is held until both are queued.
std::string order_of(PipelineGpuState& state, bool waits) {
  std::string order;
  std::mutex mutex;
  const auto write = [&](char c) {
    return [&, c](StreamTarget) {
      const std::lock_guard lock(mutex);
      order += c;
    };
  };
  Gate gate;
  Stream& first = state.stream(phase::reservoir);
  Stream& second = state.stream(phase::whcr);
  gate.hold(first);
  first.run(write('a'));
  if (waits) state.wait(phase::whcr, phase::reservoir);
  second.run(write('b'));
  const bool is_parallel = state.mode() == StreamMode::parallel && !waits;
  if (is_parallel) second.synchronize(patience);  // would not come back behind the first
  gate.open();
  state.synchronize(patience);
  return order;
}

TEST_CASE("phases: in sequence they overtake each other, or in parallel they wait") {
  PipelineGpuState sequential = make_state({.stream_mode = StreamMode::sequential});
  CHECK(sequential.stream_count() == 1);
  CHECK(sequential.stream(phase::memetic).id() == sequential.stream(phase::quantum).id());
  CHECK(order_of(sequential, false) == "ab");
  CHECK(order_of(sequential, true) == "ab");
  PipelineGpuState parallel = make_state();
  CHECK(order_of(parallel, false) == "ba");
}

TEST_CASE("phases: one that waits for another goes ahead of it") {
  PipelineGpuState state = make_state();
  for (int i = 0; i < 20; ++i) CHECK(order_of(state, true) == "ab");
}

TEST_CASE("phases: a name that is none gets a stream, or one is there twice") {
  PipelineGpuState state = make_state();
  const std::string unknown = message_of<UseError>([&] { (void)state.stream("annealing"); });
  CHECK(contains(unknown, "phase 'annealing', which is none of reservoir, transfer_entropy, "));
  CHECK_THROWS_AS(state.wait(phase::whcr, "annealing"), UseError);
  CHECK_THROWS_AS((void)state.execution(""), UseError);
  CHECK(contains(message_of<OptionError>([] {
                   make_state({.phases = {"a", "whcr"}});
                 }),
                 "'whcr' is known already"));
  CHECK(contains(message_of<OptionError>([] {
                   make_state({.phases = {"a", "a"}});
                 }),
                 "'a' is known already"));
  CHECK_THROWS_AS(make_state({.phases = {""}}), OptionError);
  CHECK(contains(message_of<OptionError>([] { make_state({.streams = 65}); }), "streams = 65"));
  CHECK_THROWS_AS(PipelineGpuState(nullptr), UseError);
}

TEST_CASE("phases: the failure of one is not told, or the others are not waited for") {
  PipelineGpuState state = make_state();
  for (const char* name : {phase::reservoir, phase::whcr}) {
    state.stream(name).run([name](StreamTarget) { throw std::runtime_error(name); });
  }
  CHECK(contains(message_of<std::exception>([&] { state.synchronize(patience); }), "reservoir"));
  state.synchronize(patience);  // that of the second was found then, too
}

TEST_CASE("phases: a record does not say that a phase ran on the host") {
  const PhaseExecution execution = make_state().execution(phase::quantum);
  CHECK(execution.mode == PhaseExecution::Mode::cpu_fallback);
  CHECK(execution.reason.view() == "streams of host threads");
}

TEST_CASE("phases: a stream mode is parsed as another one, or an unknown one is taken") {
  for (const StreamMode mode : {StreamMode::sequential, StreamMode::parallel}) {
    CHECK(parse_stream_mode(to_string(mode)) == mode);
  }
  CHECK(contains(message_of<OptionError>([] { parse_stream_mode("async"); }),
                 "'async': choose one of sequential, parallel"));
}

}  // namespace
}  // namespace aatgs::test
