// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/host/stream/gpu_triple_buffer.hpp>
#include <array>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "scripted_device.hpp"
#include "stream_test_support.hpp"

namespace aatgs {
namespace {

using namespace std::chrono_literals;
using test::Door;
using test::message_of;
using test::patience;
using test::ScriptedDevice;
using test::wait_until;
using State = TripleBufferState;
using States = std::vector<TripleBufferState>;
using Buffer = GpuTripleBuffer<int>;

constexpr auto nothing = [](StreamTarget, int*, int*) {};

/// Each output is its input times ten.
constexpr std::size_t values = 8;
constexpr auto times_ten = [](StreamTarget, const int* in, int* out) {
  for (std::size_t i = 0; i < values; ++i) out[i] = in[i] * 10;
};

void submit_filled(Buffer& buffer, int with, auto work) {
  auto slot = buffer.acquire(patience);
  std::ranges::fill(slot.input(), with);
  buffer.submit(std::move(slot), work);
}

TEST_CASE("triple buffer: a step sees the input of another, or outputs come out of order") {
  for (const unsigned slots : {1U, 2U, 3U, 5U}) {
    CAPTURE(slots);
    Buffer buffer(make_cpu_stream_device(), values, values, {.slots = slots});
    int collected = 0;
    const auto check_next = [&] {
      const auto output = buffer.collect(patience);
      ++collected;
      CHECK(output.ticket() == static_cast<std::uint64_t>(collected));
      std::array<int, values> out{};
      output.copy_to(out);
      std::array<int, values> expected{};
      expected.fill(collected * 10);
      CHECK(out == expected);
    };
    for (int step = 1; step <= 100; ++step) {
      submit_filled(buffer, step, times_ten);
      if (buffer.in_flight() == slots) check_next();
    }
    while (buffer.in_flight() > 0) check_next();
    CHECK(collected == 100);
    CHECK(buffer.states() == States(slots, State::free));
  }
}

TEST_CASE("triple buffer: work k holds up upload k + 1 or download k - 1") {
  Buffer buffer(make_cpu_stream_device(), values, values);
  Door door;
  submit_filled(buffer, 1, times_ten);
  submit_filled(buffer, 2, [&](StreamTarget target, const int* in, int* out) {
    door.pass();
    times_ten(target, in, out);
  });
  submit_filled(buffer, 3, times_ten);
  {
    const auto first = buffer.collect(patience);  // comes while work 2 runs
    CHECK(first.values()[0] == 10);
    wait_until([&] { return buffer.states()[2] == State::processing; });  // so its upload is done
    CHECK(buffer.states() == States{State::reading, State::processing, State::processing});
  }
  submit_filled(buffer, 4, times_ten);
  wait_until([&] { return buffer.states()[0] == State::processing; });
  CHECK(buffer.try_collect().is_empty());
  door.open();
  for (const int expected : {20, 30, 40}) CHECK(buffer.collect(patience).values()[0] == expected);
}

TEST_CASE("triple buffer: a state is hoped for, not taken from the device") {
  auto device = std::make_shared<ScriptedDevice>();
  Buffer buffer(device, values, values);
  CHECK(buffer.states() == States(3, State::free));
  for (int round = 0; round < 2; ++round) {
    device->held = true;
    auto slot = buffer.acquire();
    CHECK(buffer.states()[0] == State::filling);
    buffer.submit(std::move(slot), nothing);
    CHECK(slot.is_empty());
    for (const State state : {State::uploading, State::processing, State::downloading}) {
      CHECK(buffer.states()[0] == state);
      CHECK(buffer.try_collect().is_empty());
      device->finish(1);
    }
    CHECK(buffer.states()[0] == State::ready);
    {
      const auto output = buffer.try_collect();
      CHECK(!output.is_empty());
      CHECK(buffer.states()[0] == State::reading);
    }
    CHECK(buffer.states() == States(3, State::free));
    device->held = false;
  }
}

TEST_CASE("triple buffer: events of a slot's last round pass for those of this one") {
  auto device = std::make_shared<ScriptedDevice>();
  Buffer buffer(device, values, values);
  for (int round = 0; round < 2; ++round) {
    device->before = [&](const char*) { CHECK(buffer.states()[0] != State::ready); };
    submit_filled(buffer, round, [&](StreamTarget, int*, int*) {
      CHECK(buffer.states()[0] == State::uploading);
      CHECK(buffer.try_collect().is_empty());
    });
    device->before = nullptr;
    std::ignore = buffer.collect(patience);
  }
}

TEST_CASE("triple buffer: threads take the same slot or output, or lose one") {
  constexpr int producers = 3, consumers = 2, each = 60;
  Buffer buffer(make_cpu_stream_device(), values, values);
  std::array<std::atomic<int>, producers * each> seen{};
  std::atomic<int> to_collect = producers * each;
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int p = 0; p < producers; ++p) {
      threads.emplace_back([&, p] {
        for (int i = 0; i < each; ++i) submit_filled(buffer, p * each + i, times_ten);
      });
    }
    for (int c = 0; c < consumers; ++c) {
      threads.emplace_back([&] {
        while (to_collect.fetch_sub(1) > 0) {
          const auto output = buffer.collect(patience);
          const int value = output.values()[0];
          for (const int other : output.values()) wrong += other != value;
          ++seen[static_cast<std::size_t>(value / 10)];
          std::ignore = buffer.states();
        }
      });
    }
  }
  CHECK(wrong == 0);
  for (const auto& times : seen) CHECK(times == 1);
  CHECK(buffer.states() == States(3, State::free));
}

TEST_CASE("triple buffer: wrong state, too small, or foreign slots pass unnoticed") {
  const auto device = make_cpu_stream_device();
  Buffer buffer(device, 4, 4, {.name = "field"}), other(device, 4, 4, {.name = "other"});
  auto slot = buffer.acquire();
  const std::vector<int> five(5, 1);
  CHECK(message_of([&] { slot.fill(five); }) ==
        "triple buffer 'field', slot 0 (filling): 5 elements into its input of 4: make that "
        "larger, or give fewer");
  CHECK(message_of([&] { other.submit(std::move(slot), nothing); }) ==
        "triple buffer 'field', slot 0 (filling) is submitted to triple buffer 'other': submit it "
        "to the buffer that lent it");
  buffer.submit(std::move(slot), nothing);
  CHECK_THROWS_AS(buffer.submit(std::move(slot), nothing), UseError);
  CHECK_THROWS_AS(std::ignore = slot.input(), UseError);
  CHECK_THROWS_AS(buffer.submit(Buffer::Slot(), nothing), UseError);
  auto output = buffer.collect(patience);
  std::vector<int> three(3);
  CHECK(message_of([&] { output.copy_to(three); }) ==
        "triple buffer 'field', slot 0 (reading): 4 elements into its target of its output of 3: "
        "make that larger, or give fewer");
  const auto moved = std::move(output);
  CHECK_THROWS_AS(std::ignore = output.values(), UseError);
  CHECK(moved.values().size() == 4);
}

TEST_CASE("triple buffer: wrong options reach the device") {
  const auto device = make_cpu_stream_device();
  CHECK_THROWS_AS(Buffer(device, 1, 1, {.slots = 0}), OptionError);
  CHECK_THROWS_AS(Buffer(device, 1, 1, {.slots = 17}), OptionError);
  CHECK_THROWS_AS(Buffer(device, ~std::size_t{0}, 1), OptionError);
  CHECK_THROWS_AS(Buffer(nullptr, 1, 1), UseError);
  Buffer upload_only(device, 4, 0);
  submit_filled(upload_only, 1, nothing);
  CHECK(upload_only.collect(patience).values().empty());
}

TEST_CASE("triple buffer: waiting for a slot never ends, or does not say who has them") {
  Buffer buffer(make_cpu_stream_device(), values, values, {.name = "field"});
  submit_filled(buffer, 1, nothing);
  const auto output = buffer.collect(patience);
  std::optional slot(buffer.acquire());
  Door door;
  submit_filled(buffer, 1, [&](StreamTarget, int*, int*) { door.pass(); });
  wait_until([&] { return buffer.states()[2] == State::processing; });
  CHECK(message_of([&] { std::ignore = buffer.acquire(1ms); }) ==
        "triple buffer 'field': no slot became free within 1 ms (slots are reading, filling, "
        "processing): collect outputs and let them end");
  CHECK(buffer.try_acquire().is_empty());
  CHECK(message_of([&] { std::ignore = buffer.collect(1ms); }).find("within 1 ms") !=
        std::string::npos);
  slot.reset();  // not submitted: it is free again
  CHECK(!buffer.try_acquire().is_empty());
  door.open();
  CHECK(!buffer.collect(patience).is_empty());  // after the wait that came too early
  CHECK(message_of([&] { std::ignore = buffer.collect(1ms); }) ==
        "triple buffer 'field': nothing was submitted within 1 ms (slots are reading, free, free): "
        "submit before you collect");
}

TEST_CASE("triple buffer: a work that throws costs its slot, or is not told") {
  Buffer buffer(make_cpu_stream_device(), values, values, {.name = "field"});
  submit_filled(buffer, 1, times_ten);
  submit_filled(buffer, 2, [](StreamTarget, int*, int*) { throw std::runtime_error("no root"); });
  submit_filled(buffer, 3, times_ten);
  CHECK(buffer.collect(patience).values()[0] == 10);
  CHECK(message_of([&] { std::ignore = buffer.collect(patience); }) ==
        "triple buffer 'field', slot 1: the work of ticket 2: no root");
  CHECK(buffer.collect(patience).values()[0] == 30);
  CHECK(buffer.states() == States(3, State::free));
  for (int i = 0; i < 3; ++i) submit_filled(buffer, 4, times_ten);
  for (int i = 0; i < 3; ++i) CHECK(buffer.collect(patience).values()[0] == 40);
}

TEST_CASE("triple buffer: a call that fails half way through a submit costs the slot") {
  auto device = std::make_shared<ScriptedDevice>();
  Buffer buffer(device, values, values, {.name = "field"});
  auto slot = buffer.acquire();
  for (const char* call : {"copy", "record", "wait", "run"}) {
    device->failing = call;
    const std::string told = message_of([&] { buffer.submit(std::move(slot), nothing); });
    CHECK(told.starts_with("triple buffer 'field', slot 0 (submitting): "));
    CHECK(!slot.is_empty());
    CHECK(buffer.states()[0] == State::filling);
  }
  CHECK_THROWS_AS(buffer.submit(std::move(slot), [](StreamTarget, int*, int*) { throw 1; }), Error);
  CHECK(buffer.submit(std::move(slot), nothing) == 1);
  CHECK(buffer.collect(patience).ticket() == 1);
}

TEST_CASE("triple buffer: a work that uses its own buffer hangs") {
  auto device = std::make_shared<ScriptedDevice>();
  Buffer buffer(device, values, values);
  const auto submits = [&](StreamTarget, int*, int*) { submit_filled(buffer, 1, nothing); };
  const auto closes = [&](StreamTarget, int*, int*) { buffer.close(); };
  CHECK_THROWS_AS(submit_filled(buffer, 1, submits), UseError);
  CHECK_THROWS_AS(submit_filled(buffer, 1, closes), UseError);
  CHECK(buffer.states() == States(3, State::free));
}

TEST_CASE("triple buffer: use after close, or memory that is freed under a lease or never") {
  auto device = std::make_shared<ScriptedDevice>();
  std::optional<Buffer::Output> output;
  {
    Buffer buffer(device, values, values, {.name = "field"});
    CHECK(device->memories() == 12);
    submit_filled(buffer, 1, nothing);
    submit_filled(buffer, 2, nothing);
    output.emplace(buffer.collect());
    auto slot = buffer.acquire();
    buffer.close();
    buffer.close();
    CHECK(device->memories() == 6);  // the host's sides are lent
    const std::string why =
        "triple buffer 'field' is closed (slots are reading, ready, filling): use it before its "
        "close";
    CHECK(message_of([&] { std::ignore = buffer.acquire(); }) == why);
    CHECK(message_of([&] { std::ignore = buffer.try_collect(); }) == why);
    CHECK(message_of([&] { std::ignore = buffer.collect(); }) == why);
    CHECK(message_of([&] { buffer.submit(std::move(slot), nothing); }) == why);
  }
  CHECK(output->values().size() == values);
  CHECK(output->values()[0] == 0);
  output.reset();
  CHECK(device->memories() == 0);
}

TEST_CASE("triple buffer: memory is freed while stuck work still uses it") {
  auto device = std::make_shared<ScriptedDevice>();
  {
    Buffer buffer(device, values, values, {.name = "field", .deadline = 1ms});
    device->held = true;
    submit_filled(buffer, 1, nothing);
    CHECK_THROWS_AS(buffer.close(1ms), TimeoutError);
    CHECK_THROWS_AS(std::ignore = buffer.acquire(), UseError);
  }
  CHECK(device->memories() == 12);
  device->finish();
}

TEST_CASE("triple buffer: an allocation that fails leaves others behind") {
  for (const char* call : {"allocate", "allocate_pinned", "set"}) {
    auto device = std::make_shared<ScriptedDevice>();
    int left = 4;
    device->before = [&](const char* made) {
      if (std::string(made) == call && --left == 0) device->failing = call;
    };
    if (call == std::string("allocate")) left = 3;
    const std::string told =
        message_of([&] { Buffer buffer(device, values, values, {.name = "big"}); });
    CHECK(told.starts_with("triple buffer 'big' of 3 times 32 and 32 bytes: "));
    CHECK(device->memories() == 0);
  }
}

TEST_CASE("triple buffer: a close does not wake who waits, or a submit who collects") {
  Buffer buffer(make_cpu_stream_device(), values, values);
  std::atomic<int> told = 0;
  {
    const std::jthread consumer([&] {
      CHECK(buffer.collect(patience).values()[0] == 70);
      try {
        std::ignore = buffer.collect(3 * patience);
      } catch (const UseError&) {
        ++told;
      }
    });
    submit_filled(buffer, 7, times_ten);
    wait_until([&] { return buffer.states() == States(3, State::free); });
    std::vector<Buffer::Slot> all;
    for (int i = 0; i < 3; ++i) all.push_back(buffer.acquire(patience));
    const std::jthread producer([&] {
      try {
        std::ignore = buffer.acquire(3 * patience);
      } catch (const UseError&) {
        ++told;
      }
    });
    buffer.close(patience);
    wait_until([&] { return told == 2; });
  }
}

}  // namespace
}  // namespace aatgs
