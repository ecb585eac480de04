// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/hang_record.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/resident_memory.hpp>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace aatgs {
namespace {

TEST_CASE("buffer: it starts with rubbish, or a copy lands in the wrong place") {
  Buffer<int> buffer(MemoryKind::host, 10);
  CHECK(buffer.size() == 10);
  CHECK(buffer.download() == std::vector<int>(10, 0));
  const std::vector<int> values = {1, 2, 3};
  buffer.upload(values, 4);
  CHECK(buffer.download() == std::vector<int>{0, 0, 0, 0, 1, 2, 3, 0, 0, 0});
  std::array<int, 2> part{};
  buffer.download(part, 5);
  CHECK(part == std::array{2, 3});
  const Buffer<int> copy(MemoryKind::host, values);
  CHECK(copy.download() == values);
}

TEST_CASE("buffer: a copy runs over its end") {
  Buffer<int> buffer(MemoryKind::host, 10);
  const std::vector<int> values(4);
  std::vector<int> into(4);
  buffer.upload(values, 6);
  CHECK_THROWS_AS(buffer.upload(values, 7), UseError);
  CHECK_THROWS_AS(buffer.upload(values, ~std::size_t{0} - 1), UseError);  // the sum overflows
  CHECK_THROWS_AS(buffer.download(into, 7), UseError);
  CHECK_THROWS_WITH_AS(buffer.upload(values, 7),
                       "copy of 4 elements at 7 into a Buffer of 10: copy a range that lies inside",
                       UseError);
}

TEST_CASE("buffer: an empty or a moved one is released twice, or not at all") {
  Buffer<int> empty(MemoryKind::host, 0);
  CHECK(empty.size() == 0);
  CHECK(empty.download().empty());
  Buffer<int> first(MemoryKind::host, std::vector{1, 2});
  Buffer<int> second(std::move(first));
  CHECK(second.download() == std::vector{1, 2});
  empty = std::move(second);
  CHECK(empty.download() == std::vector{1, 2});
  Buffer<int>& same = empty;
  empty = std::move(same);
  CHECK(empty.download() == std::vector{1, 2});
}

TEST_CASE(
    "resident memory: words of different writers share a line, or a slot starts as published") {
  ContextOptions options;
  options.config_slots = 4;
  options.telemetry_slots = 2;
  options.ports = 2;
  options.first_ticket = (std::uint64_t{1} << 32) - 5;
  const ResidentMemory memory(MemoryKind::host, options, {3, 5}, 2);
  REQUIRE(memory.ports().size() == 2);
  for (const PortMemory& one : memory.ports()) {
    const Port port = one.port();
    CHECK(port.config.shape.slots == 4);
    CHECK(port.config.shape.granules == 3);
    CHECK(port.telemetry.shape.slots == 2);
    CHECK(port.telemetry.shape.granules == 5);
    for (std::uint64_t t = options.first_ticket; t < options.first_ticket + 4; ++t) {
      CHECK_FALSE(config_in_sight(port.config, t));
    }
    CHECK(one.sum_counters().finished == 0);
    CHECK(port.state->next_claim == options.first_ticket);
    CHECK(port.state->near.taken == options.first_ticket);
    CHECK(port.state->near.finished == options.first_ticket);
    CHECK(port.state->far.taken == options.first_ticket);
    CHECK(to_feed(*port.feed).end == options.first_ticket);
  }
  const auto distance = [](const void* a, const void* b) {
    return reinterpret_cast<std::uintptr_t>(b) - reinterpret_cast<std::uintptr_t>(a);
  };
  ControlBlock& control = memory.control();
  CHECK(distance(nullptr, &control) % line_bytes == 0);
  CHECK(distance(&control.command, &control.presence) >= line_bytes);
  CHECK(distance(&control.presence, &control.hang) >= line_bytes);
  CHECK(distance(nullptr, memory.ports()[0].port().feed) % line_bytes == 0);
}

TEST_CASE("hang record: a wedged wait is not told, or told where there was none") {
  HangRecord record{};
  CHECK(describe(record).empty());
  record = {12, 3, 7, 5, WaitPlace::grid_barrier};
  const std::string text = describe(record);
  for (const char* part : {"grid barrier", "ticket 12", "block 5", "found 3", "expected 7"}) {
    CHECK(text.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace aatgs
