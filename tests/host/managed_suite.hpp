// SPDX-License-Identifier: Apache-2.0
// What a managed context must keep to in every step mode. Include it once in a test program, after
// a `ManagedBackend` with
//   static std::vector<ManagedVariant> variants();       // step modes and scopes to test
//   static ManagedGpuContext<C, T> make<C, T>(step, options);
#pragma once

#include <aatgs/host/managed_gpu_context.hpp>
#include <set>

#include "../integrations/solver_modes.hpp"
#include "context_test_support.hpp"

namespace aatgs::test {

using Managed = ManagedGpuContext<Order, Report>;

template <class Body>
void for_each_mode(Body body) {
  for (const auto& [name, options] : ManagedBackend::variants()) {
    SUBCASE(name.c_str()) {
      const Watchdog watchdog(name);
      body(options);
    }
  }
}

inline Managed make_managed(StepMemory& memory, const ManagedOptions& options) {
  return ManagedBackend::make<Order, Report>(memory.step(), options);
}

/// Whether it is the result of hash order `i`, the `i`-th config of all.
inline bool is_result(const Completion<Report>& done, std::uint64_t i) {
  return done.ok() && done.ticket == i && done.telemetry.ticket == i &&
         is_report_of(hash_order(i), done.telemetry);
}

TEST_CASE("managed: a mode gives other results, or not in order, or not all") {
  for_each_mode([](const ManagedOptions& options) {
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    const std::uint64_t count = 200;
    const std::uint64_t depth = managed.depth();
    CHECK(depth == (options.step_mode == StepMode::sync ? 1 : 3));
    std::uint64_t told = 0;
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto done = managed.triple_buffered_step(hash_order(i));
      CHECK(done.has_value() == (i + 1 >= depth));
      if (done && !is_result(*done, told++)) ++wrong;
    }
    for (const auto& done : managed.finish()) {
      if (!is_result(done, told++)) ++wrong;
    }
    CHECK(told == count);
    CHECK(wrong == 0);
    CHECK(managed.finish().empty());
    CHECK(managed.context().stats().completed == count);
    CHECK(managed.context().stats().in_flight == 0);
  });
}

TEST_CASE("managed: a step in sync takes the result of one on its way, or gives another's") {
  for_each_mode([](const ManagedOptions& options) {
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    std::vector<std::uint64_t> told;
    const auto tell = [&](const Completion<Report>& done) {
      CHECK(is_result(done, done.ticket));
      told.push_back(done.ticket);
    };
    for (std::uint64_t i = 0; i < 40; ++i) {
      if (i % 5 == 3) {
        CHECK(is_result(managed.step(hash_order(i)), i));
      } else if (const auto done = managed.triple_buffered_step(hash_order(i))) {
        tell(*done);
      }
    }
    for (const auto& done : managed.finish()) tell(done);
    CHECK(told.size() == 32);
    CHECK(std::is_sorted(told.begin(), told.end()));
    CHECK(std::set(told.begin(), told.end()).size() == 32);
  });
}

TEST_CASE("managed: a failed step is not told, or as another's") {
  for_each_mode([](const ManagedOptions& options) {
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    const auto order = [](std::uint32_t i) {
      return i % 3 == 1 ? make_order(Op::fail, 100 + i, 7 * i) : hash_order(i);
    };
    std::vector<Completion<Report>> all;
    for (std::uint32_t i = 0; i < 30; ++i) {
      if (const auto done = managed.triple_buffered_step(order(i))) all.push_back(*done);
    }
    for (const auto& done : managed.finish()) all.push_back(done);
    REQUIRE(all.size() == 30);
    for (std::uint32_t i = 0; i < 30; ++i) {
      CHECK(all[i].ok() == (i % 3 != 1));
      CHECK(all[i].code == (i % 3 == 1 ? 100 + i : 0));
    }
    CHECK(managed.step(make_order(Op::fail, 9)).code == 9);
  });
}

TEST_CASE("managed: steps that may be on their way are waited for, or a result overtakes another") {
  for_each_mode([](const ManagedOptions& options) {
    if (options.step_mode == StepMode::sync) return;
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    CHECK_FALSE(managed.triple_buffered_step(hold_order()));
    CHECK_FALSE(managed.triple_buffered_step(hash_order(1)));
    REQUIRE(memory.wait_for_held(1));
    const bool overtakes =
        options.step_mode == StepMode::resident && options.context.scope == Scope::block;
    if (overtakes) {
      REQUIRE(eventually([&] { return managed.context().stats().telemetry_ring.now > 0; }));
    }
    memory.set(Word::gate, 1);
    const auto first = managed.triple_buffered_step(hash_order(2));
    REQUIRE(first);
    CHECK(first->ticket == 0);
    const auto rest = managed.finish();
    REQUIRE(rest.size() == 2);
    CHECK(is_result(rest[0], 1));
    CHECK(is_result(rest[1], 2));
  });
}

TEST_CASE("managed: rings smaller than the steps on their way block them for ever") {
  for_each_mode([](ManagedOptions options) {
    for (const auto& [configs, telemetries] : {std::pair{1U, 1U}, {1U, 2U}, {2U, 1U}}) {
      options.context.config_slots = configs;
      options.context.telemetry_slots = telemetries;
      options.deadline = 10s;
      StepMemory memory(context_options(options));
      Managed managed = make_managed(memory, options);
      std::uint64_t told = 0;
      for (std::uint64_t i = 0; i < 50; ++i) {
        const auto done = managed.triple_buffered_step(hash_order(i));
        if (done) CHECK(is_result(*done, told++));
      }
      CHECK(is_result(managed.step(hash_order(50)), 50));
      for (const auto& done : managed.finish()) CHECK(is_result(done, told++));
      CHECK(told == 50);
    }
  });
}

TEST_CASE("managed: a step that does not end is waited for, is not named, or ends the others") {
  for_each_mode([](ManagedOptions options) {
    const bool is_sync = options.step_mode == StepMode::sync && !options.host_threads;
    if (is_sync) return;  // the launch itself waits
    options.deadline = 20ms;
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    std::string message;
    try {
      (void)managed.step(hold_order());
    } catch (const TimeoutError& error) {
      message = error.what();
    }
    INFO(message);
    CHECK(message.find("20000000 ns") != std::string::npos);
    CHECK(message.find("1 config ") != std::string::npos);
    CHECK(message.find("(ticket 0)") != std::string::npos);
    memory.set(Word::gate, 1);
    CHECK(managed.context().flush(10s));
    CHECK(managed.context().stats().completed == 1);
  });
}

TEST_CASE("managed: after its end a step waits, or is run") {
  for_each_mode([](const ManagedOptions& options) {
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    if (options.step_mode != StepMode::sync) {
      REQUIRE_FALSE(managed.triple_buffered_step(hold_order()));  // given up
    }
    REQUIRE(managed.context().shutdown(StopMode::abort, 10s));
    CHECK_THROWS_AS((void)managed.step(hash_order(0)), UseError);
    CHECK_THROWS_AS((void)managed.triple_buffered_step(hash_order(0)), UseError);
    CHECK(memory.get(Word::aborted) == memory.get(Word::held));
    CHECK(memory.get(Word::entered) == memory.get(Word::left));
  });
}

TEST_CASE("managed: its streams, coordinator, buffers and pipelines do not work, or not together") {
  for_each_mode([](const ManagedOptions& options) {
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    REQUIRE(managed.has_stream_management());
    Stream& upload = managed.stream(StreamPurpose::config_upload);
    const auto& device = upload.device();
    CHECK(device->is_gpu() == !options.host_threads);
    CHECK(&managed.stream(StreamPurpose::config_upload) == &upload);
    CHECK(managed.stream(StreamPurpose::telemetry_download).id() != upload.id());
    CHECK(managed.phases().stream(phase::whcr).device() == device);

    auto buffer = managed.create_triple_buffer<int>(4, 4);
    auto slot = buffer.acquire();
    slot.fill(std::vector<int>{1, 2, 3, 4});
    const auto copy = [&](StreamTarget, const int* in, int* out) {
      if (!device->is_gpu()) std::copy_n(in, 4, out);
    };
    buffer.submit(std::move(slot), copy);
    CHECK(is_result(managed.step(hash_order(0)), 0));  // beside it
    const int expected = device->is_gpu() ? 0 : 4;
    CHECK(buffer.collect(10s).values()[3] == expected);

    int* pinned = static_cast<int*>(device->allocate_pinned(2 * sizeof(int)));
    pinned[0] = 42;
    auto pipeline = managed.create_pipeline_manager();
    pipeline.add_buffer("x", sizeof(int));
    pipeline.add_upload("up", "x", &pinned[0]);
    pipeline.add_download("down", "x", &pinned[1]);
    pipeline.wait(pipeline.execute_iteration(), 10s);
    CHECK(pinned[1] == 42);
    bool ran = false;
    managed.coordinator().wait(
        managed.coordinator().queue_compute([&](StreamTarget) { ran = true; }), 10s);
    CHECK(ran);
    pipeline.close(10s);
    device->free_pinned(pinned);
  });
}

TEST_CASE("managed: without stream management a call makes streams, or does not name the option") {
  for_each_mode([](ManagedOptions options) {
    options.async = false;
    StepMemory memory(context_options(options));
    Managed managed = make_managed(memory, options);
    CHECK_FALSE(managed.has_stream_management());
    const std::function<void()> calls[] = {
        [&] { (void)managed.stream(StreamPurpose::kernel_execution); },
        [&] { (void)managed.pool(); },
        [&] { (void)managed.coordinator(); },
        [&] { (void)managed.phases(); },
        [&] { (void)managed.create_triple_buffer<int>(1, 1); },
        [&] { (void)managed.create_pipeline_manager(); }};
    for (const auto& call : calls) {
      std::string message;
      try {
        call();
      } catch (const UseError& error) {
        message = error.what();
      }
      CHECK(message.find("make it with async = true") != std::string::npos);
    }
    CHECK(is_result(managed.step(hash_order(0)), 0));
  });
}

TEST_CASE("managed: with the same seeds a step mode colors otherwise, or leaves another residual") {
  const Watchdog watchdog("solvers in all modes");
  std::vector<ManagedOptions> modes;
  for (const auto& variant : ManagedBackend::variants()) {
    if (variant.options.context.scope == Scope::block) modes.push_back(variant.options);
  }
  check_same_colorings(modes, Scope::block);
  check_same_colorings(modes, Scope::grid);
  check_same_residuals(modes);
}

}  // namespace aatgs::test
