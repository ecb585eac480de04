// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/runtime/task_world.hpp>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

namespace aatgs {
namespace {

TEST_CASE("task release: a count is taken for one, or a cancel is forgotten by later ones") {
  std::uint32_t waiting = 6;
  release_watched(waiting, 3);
  CHECK(look_at_watched(waiting) == TaskRelease::wait);
  cancel_watched(waiting);
  release_watched(waiting);
  CHECK(look_and_acquire(waiting) == TaskRelease::wait);
  release_watched(waiting, 2);
  REQUIRE(look_at_watched(waiting) == TaskRelease::cancel);
  CHECK(look_and_acquire(waiting) == TaskRelease::cancel);
  std::uint32_t open = 1;
  release_watched(open);
  REQUIRE(look_at_watched(open) == TaskRelease::run);
  CHECK(look_and_acquire(open) == TaskRelease::run);
}

constexpr std::uint32_t releasers = 3;
constexpr std::uint32_t rounds = 10'000;

/// Releaser i stands for i + 1 dependencies of a round's word.
struct WatchedRounds {
  std::vector<std::uint32_t> words = std::vector<std::uint32_t>(rounds, 1 + 2 + 3);
  std::vector<std::array<std::uint32_t, releasers>> written{rounds};  // plain, handed over
  std::atomic<std::uint32_t> seen = 0;                                // rounds
  std::uint32_t amiss = 0;

  static bool cancels(std::uint32_t round, std::uint32_t releaser) {
    return round % 8 == releaser || round % 8 == 7;  // one of them, none, or all
  }

  /// Mostly awake, so that the threads meet at the words.
  template <class Done>
  static void wait_until(const Done& done) {
    for (std::uint32_t looks = 1; !done(); ++looks) {
      if (looks % 64 == 0) std::this_thread::yield();
    }
  }

  void release(std::uint32_t me) {
    for (std::uint32_t round = 0; round < rounds; ++round) {
      wait_until([&] { return seen.load(std::memory_order_relaxed) >= round; });
      written[round][me] = round + 1;
      if (cancels(round, me)) cancel_watched(words[round]);
      detail::order_workers();
      release_watched(words[round], me + 1);
    }
  }

  void watch() {
    for (std::uint32_t round = 0; round < rounds; ++round) {
      wait_until([&] { return look_at_watched(words[round]) != TaskRelease::wait; });
      bool any = false;
      for (std::uint32_t i = 0; i < releasers; ++i) any = any || cancels(round, i);
      amiss += look_and_acquire(words[round]) != (any ? TaskRelease::cancel : TaskRelease::run);
      for (const std::uint32_t value : written[round]) amiss += value != round + 1;
      seen.store(round + 1, std::memory_order_relaxed);
    }
  }
};

TEST_CASE("task release: a watcher runs before all is written, or what was to be cancelled") {
  WatchedRounds all;
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < releasers; ++i)
      threads.emplace_back(&WatchedRounds::release, &all, i);
    threads.emplace_back(&WatchedRounds::watch, &all);
  }
  CHECK(all.amiss == 0);
}

}  // namespace
}  // namespace aatgs
