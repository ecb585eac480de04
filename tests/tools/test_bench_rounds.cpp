// SPDX-License-Identifier: Apache-2.0
// How aatgs_bench puts together what it measures in several rounds.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <vector>

#include "report.hpp"

namespace aatgs::bench {
namespace {

Figure round_of(std::vector<double> values) {
  return figure({.group = "floor", .road = "ping_pong"}, "us", "a flag", std::move(values));
}

TEST_CASE("bench: one busy round decides a figure, or rounds stand as figures of their own") {
  Report report;
  report.add(round_of({2, 2.1, 2.2}));
  report.add(round_of({40, 50, 60}));
  report.add(figure({.group = "floor", .road = "other"}, "us", "beside it", {7}));
  report.add(round_of({1, 2.3, 9}));
  REQUIRE(report.figures.size() == 2);
  const Figure* all = report.find("floor/ping_pong");
  REQUIRE(all != nullptr);
  CHECK(all->p01 == 2);
  CHECK(all->p50 == 2.3);
  CHECK(all->p99 == 9);
  CHECK(all->samples == 9);
  CHECK(report.median("floor/other") == 7);
}

TEST_CASE("bench: a round without samples passes for one") {
  Report report;
  report.add(round_of({2}));
  CHECK_THROWS_WITH_AS(report.add(round_of({})), doctest::Contains("'floor/ping_pong'"), Error);
  CHECK(report.median("floor/ping_pong") == 2);
}

}  // namespace
}  // namespace aatgs::bench
