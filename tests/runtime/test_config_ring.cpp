// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "ring_test_support.hpp"

namespace aatgs {
namespace {

using Config = test::Bytes<100>;

TEST_CASE("config ring: a config is lost or changed where the ring or a lap wraps") {
  for (const std::uint32_t slots : test::ring_sizes) {
    for (const std::uint64_t first : test::first_tickets) {
      CAPTURE(slots);
      CAPTURE(first);
      test::OwnedConfigRing<Config> owned(slots, first);
      ConfigProducer<Config> producer(owned.ring, first);
      std::uint64_t next_taken = first;
      std::uint64_t wrong = 0;
      for (int round = 0; round < 12; ++round) {
        while (producer.has_room()) {
          producer.push(Config::of(producer.next()));
        }
        if (producer.next() != next_taken + slots) ++wrong;
        for (std::uint32_t i = 0; i < (slots + 1) / 2; ++i, ++next_taken) {
          Config config{};
          if (!test::take(owned.ring, next_taken, config)) ++wrong;
          if (!(config == Config::of(next_taken))) ++wrong;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("config ring: a slot is written again before it was marked as taken") {
  test::OwnedConfigRing<Config> owned(4, 0);
  ConfigProducer<Config> producer(owned.ring, 0);
  for (std::uint64_t t = 0; t < 4; ++t) {
    REQUIRE(producer.has_room());
    producer.push(Config::of(t));
  }
  CHECK_FALSE(producer.has_room());
  MessageBuffer<Config> buffer;
  CHECK(take_config(SingleLane{}, owned.ring, 0, buffer.words()));
  CHECK_FALSE(producer.has_room());
  CHECK(producer.occupied() == 4);
  mark_taken(owned.ring, 0);
  CHECK(producer.has_room());
  CHECK(producer.occupied() == 3);
  producer.push(Config::of(4));
  CHECK_FALSE(producer.has_room());
}

TEST_CASE("config ring: takes out of order free the wrong slots") {
  for (const std::uint64_t first : test::first_tickets) {
    CAPTURE(first);
    test::OwnedConfigRing<Config> owned(4, first);
    ConfigProducer<Config> producer(owned.ring, first);
    for (std::uint64_t t = 0; t < 4; ++t) producer.push(Config::of(first + t));
    Config config{};
    for (const std::uint64_t t : {2ULL, 1ULL, 3ULL}) {
      REQUIRE(test::take(owned.ring, first + t, config));
      CHECK(config == Config::of(first + t));
      CHECK_FALSE(producer.has_room());  // the oldest is still there
      CHECK(producer.occupied() == 4);
    }
    REQUIRE(test::take(owned.ring, first, config));
    CHECK(producer.occupied() == 0);
    for (std::uint64_t t = 4; t < 8; ++t) {
      REQUIRE(producer.has_room());
      producer.push(Config::of(first + t));
    }
    CHECK_FALSE(producer.has_room());
    REQUIRE(test::take(owned.ring, first + 7, config));
    CHECK(config == Config::of(first + 7));
  }
}

TEST_CASE("config ring: a ticket whose config has not come takes another one") {
  test::OwnedConfigRing<Config> owned(2, 10);
  ConfigProducer<Config> producer(owned.ring, 10);
  MessageBuffer<Config> buffer;
  const auto is_there = [&](std::uint64_t ticket) {
    return take_config(SingleLane{}, owned.ring, ticket, buffer.words());
  };
  CHECK_FALSE(is_there(10));
  CHECK_FALSE(config_in_sight(owned.ring, 10));
  producer.push(Config{});  // zeros
  CHECK(config_in_sight(owned.ring, 10));
  CHECK(is_there(10));
  CHECK(buffer.value() == Config{});
  CHECK_FALSE(is_there(11));
  CHECK_FALSE(is_there(12));  // same slot as 10, a lap later
  CHECK_FALSE(is_there(8));
}

TEST_CASE("config ring: a config that is still being written is taken") {
  test::OwnedConfigRing<Config> owned(2, 0);
  std::vector<Granule> message(MessageBuffer<Config>::granules);
  write_value(message.data(), owned.shape.lap_of(0), Config::of(0));
  MessageBuffer<Config> buffer;
  for (const Granule& granule : message) {
    CHECK_FALSE(take_config(SingleLane{}, owned.ring, 0, buffer.words()));
    owned.granules[static_cast<std::size_t>(&granule - message.data())] = granule;
    CHECK(config_in_sight(owned.ring, 0));
  }
  CHECK(take_config(SingleLane{}, owned.ring, 0, buffer.words()));
}

TEST_CASE("config ring: consumer threads see torn or missing configs") {
  constexpr std::uint64_t count = 10'000;
  for (const std::uint32_t slots : {1U, 4U}) {
    test::OwnedConfigRing<Config> owned(slots, 0);
    std::uint64_t wrong[2] = {0, 0};
    const auto consume = [&](std::uint64_t which) {  // every second ticket
      for (std::uint64_t t = which; t < count; t += 2) {
        Config config{};
        while (!test::take(owned.ring, t, config)) std::this_thread::yield();
        if (!(config == Config::of(t))) ++wrong[which];
      }
    };
    std::jthread first(consume, 0);
    std::jthread second(consume, 1);
    ConfigProducer<Config> producer(owned.ring, 0);
    for (std::uint64_t t = 0; t < count; ++t) {
      while (!producer.has_room()) std::this_thread::yield();
      producer.push(Config::of(t));
    }
    first.join();
    second.join();
    CHECK(wrong[0] == 0);
    CHECK(wrong[1] == 0);
    CHECK(producer.occupied() == 0);
  }
}

}  // namespace
}  // namespace aatgs
