// SPDX-License-Identifier: Apache-2.0
// How many configs a graph takes.
#include <doctest/doctest.h>

#include <aatgs/host/detail/run_length.hpp>
#include <algorithm>
#include <set>

namespace aatgs::detail {
namespace {

TEST_CASE("run length: a graph takes nothing, more than waits, or less than two thirds of it") {
  for (std::uint32_t most = 1; most <= 100; ++most) {
    for (std::uint64_t waiting = 1; waiting <= 300; ++waiting) {
      CAPTURE(most);
      CAPTURE(waiting);
      const std::uint64_t length = run_length(waiting, most);
      const std::uint64_t possible = std::min<std::uint64_t>(waiting, most);
      REQUIRE(length >= 1);
      REQUIRE(length <= possible);
      REQUIRE(3 * length >= 2 * possible);
    }
  }
}

TEST_CASE("run length: there are as many kinds of graphs as depths") {
  std::set<std::uint32_t> lengths;
  for (std::uint64_t waiting = 1; waiting <= 1000; ++waiting) {
    lengths.insert(run_length(waiting, 100));
  }
  CHECK(lengths == std::set<std::uint32_t>{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96});
}

}  // namespace
}  // namespace aatgs::detail
