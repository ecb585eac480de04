// SPDX-License-Identifier: Apache-2.0
// How aatgs_bench puts together what it measures in several rounds.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <optional>
#include <string>
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

TEST_CASE(
    "bench: what was compared by turns gets lost among the rounds, or one of them decides it") {
  const auto round = [](std::optional<double> against_best) {
    Figure figure = round_of({1});
    figure.against_best = against_best;
    return figure;
  };
  Report report;
  report.add(round({}));
  CHECK_FALSE(report.figures[0].against_best);
  report.add(round(0.98));
  report.add(round(0.5));
  report.add(round(0.99));
  CHECK(report.figures[0].against_best == 0.98);
  CHECK(to_json(report).find("\"against_best\": 0.98") != std::string::npos);
}

TEST_CASE("bench: a turn is judged by its outliers, or by one of two modes") {
  CHECK(middle_mean({7}) == 7);
  CHECK(middle_mean({3, 5}) == 4);
  CHECK(middle_mean({1000, 2, 1, 1, 2, 2, 1, 0}) == 1.5);
}

}  // namespace
}  // namespace aatgs::bench
