// SPDX-License-Identifier: Apache-2.0
#include "ring_test_support.hpp"

namespace aatgs {
namespace {

TEST_CASE("ring shape: a size that is no power of two is let in") {
  for (const std::uint64_t good : {1ULL, 2ULL, 64ULL, 1ULL << 20}) CHECK(is_ring_size(good));
  for (const std::uint64_t bad : {0ULL, 3ULL, 1000ULL, (1ULL << 20) + 1, 1ULL << 21, 1ULL << 40}) {
    CHECK_FALSE(is_ring_size(bad));
  }
}

TEST_CASE("ring shape: two tickets in a row share a slot, or a slot skips a lap") {
  for (const std::uint32_t slots : test::ring_sizes) {
    for (const std::uint64_t first : test::first_tickets) {
      CAPTURE(slots);
      CAPTURE(first);
      const RingShape shape = RingShape::make(slots, 3);
      for (std::uint64_t t = first; t < first + 3 * slots + 10; ++t) {
        CHECK(shape.slot_of(t) == t % slots);
        CHECK(shape.lap_of(t) == static_cast<std::uint32_t>(t / slots + 1));
        CHECK(shape.lap_of(t + slots) == shape.lap_of(t) + 1);
        CHECK(shape.offset_of(t) == t % slots * 3);
      }
      CHECK(shape.total_granules() == 3 * slots);
    }
  }
}

TEST_CASE("ring shape: a fresh slot already shows the lap of its first ticket") {
  for (const std::uint32_t slots : test::ring_sizes) {
    for (const std::uint64_t first : test::first_tickets) {
      CAPTURE(slots);
      CAPTURE(first);
      const RingShape shape = RingShape::make(slots, 1);
      for (std::uint64_t t = first; t < first + slots; ++t) {  // the first ticket of each slot
        CHECK(shape.lap_before(shape.slot_of(t), first) + 1 == shape.lap_of(t));
      }
    }
  }
}

}  // namespace
}  // namespace aatgs
