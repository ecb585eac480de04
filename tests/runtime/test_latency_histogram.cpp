// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/runtime/latency_histogram.hpp>
#include <algorithm>
#include <random>
#include <vector>

namespace aatgs {
namespace {

/// Compares percentiles with those of the sorted values.
void check_percentiles(std::vector<std::uint64_t> values) {
  LatencyHistogram histogram;
  for (const std::uint64_t value : values) histogram.record(value);
  std::sort(values.begin(), values.end());
  for (const double share : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999}) {
    CAPTURE(share);
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    const auto exact = static_cast<double>(values[rank]);
    const auto found = static_cast<double>(histogram.percentile(share));
    CHECK(found >= exact);
    CHECK(found <= exact * 1.032);
  }
  CHECK(histogram.count() == values.size());
  CHECK(histogram.max() == values.back());
  CHECK(histogram.percentile(1) == values.back());
}

TEST_CASE("latency histogram: a percentile is off by more than 3.2 %") {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> small, even, skewed, huge;
  for (int i = 0; i < 20'000; ++i) {
    small.push_back(random() % 100);
    even.push_back(random() % 1'000'000);
    skewed.push_back(std::uint64_t{1} << (random() % 40) | random() % 1000);
    huge.push_back(random());
  }
  check_percentiles(small);
  check_percentiles(even);
  check_percentiles(skewed);
  check_percentiles(huge);
}

TEST_CASE("latency histogram: a bucket's edge falls into its neighbour") {
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    for (const std::uint64_t value : {power - 1, power, power + 1})
      check_percentiles({value, value});
  }
  check_percentiles({0, ~std::uint64_t{0}});
}

TEST_CASE("latency histogram: a bucket of very many wraps, and percentiles jump") {
  LatencyHistogram histogram;
  histogram.record(1'000'000, 100);
  histogram.record(64, std::uint64_t{1} << 32);
  CHECK(histogram.count() == (std::uint64_t{1} << 32) + 100);
  CHECK(histogram.percentile(0.5) == 65);
  CHECK(histogram.percentile(0.99) == 65);
}

TEST_CASE("latency histogram: nothing measured is not zero, or cleared values come back") {
  LatencyHistogram histogram;
  CHECK(histogram.percentile(0.5) == 0);
  CHECK(histogram.max() == 0);
  histogram.record(5);
  histogram.clear();
  CHECK(histogram.count() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.percentile(0.99) == 0);
  histogram.record(1000);
  CHECK(histogram.percentile(0) == 1000);
}

}  // namespace
}  // namespace aatgs
