// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/host/make_cpu_scheduler.hpp>
#include <aatgs/integrations/linear/tiled_cholesky.hpp>
#include <cmath>
#include <random>

namespace aatgs::linear {
namespace {

/// Symmetric, with a diagonal that outweighs the rest.
std::vector<double> random_matrix(std::uint32_t n) {
  std::mt19937_64 random(n);
  std::uniform_real_distribution<double> value(-1, 1);
  std::vector<double> a(std::size_t{n} * n);
  for (std::uint32_t r = 0; r < n; ++r) {
    for (std::uint32_t c = 0; c <= r; ++c) a[r * n + c] = a[c * n + r] = value(random);
    a[r * n + r] += n;
  }
  return a;
}

double largest_error(const std::vector<double>& l, const std::vector<double>& a, std::uint32_t n) {
  double largest = 0;
  for (std::uint32_t r = 0; r < n; ++r) {
    for (std::uint32_t c = 0; c <= r; ++c) {
      double sum = 0;
      for (std::uint32_t k = 0; k <= c; ++k) sum += l[r * n + k] * l[c * n + k];
      largest = std::max(largest, std::abs(sum - a[r * n + c]));
    }
  }
  return largest;
}

SchedulerOptions on_cpu() {
  SchedulerOptions options;
  options.context.executor = ExecutorKind::cpu;
  options.context.cpu_threads = 3;
  options.most_tasks = 1024;
  options.spawn_slots = 16;
  return options;
}

TEST_CASE("tiled cholesky: a tile is updated out of turn, twice or not at all") {
  for (const std::uint32_t n : {64U, 128U, 320U}) {
    CAPTURE(n);
    TiledCholesky cholesky(n, MemoryKind::host);
    const auto a = random_matrix(n);
    auto scheduler = make_cpu_scheduler(cholesky.steps(), on_cpu());
    auto graph = scheduler->prepare(cholesky.graph());
    for (int run = 0; run < 2; ++run) {
      cholesky.set(a);
      REQUIRE(scheduler->run(graph).all_completed());
      CHECK(largest_error(cholesky.get(), a, n) < 1e-12 * n * n);
    }
  }
}

TEST_CASE("tiled cholesky: a matrix that is not positive definite gives numbers") {
  constexpr std::uint32_t n = 192;
  TiledCholesky cholesky(n, MemoryKind::host);
  auto a = random_matrix(n);
  a[100 * n + 100] = -1;
  cholesky.set(a);
  auto scheduler = make_cpu_scheduler(cholesky.steps(), on_cpu());
  auto graph = scheduler->prepare(cholesky.graph());
  const GraphReport report = scheduler->run(graph);
  CHECK(report.summary.failed == 1);
  CHECK(report.summary.cancelled > 0);
  const std::uint32_t bad = report.summary.first_failed;
  CHECK(graph.plan().task(bad).name == "factor 1,1");
  CHECK(graph.outcomes()[bad].code == 101);
}

TEST_CASE(
    "tiled cholesky: a size that is no multiple of the tiles, or a matrix of another, is taken") {
  CHECK_THROWS_WITH_AS(TiledCholesky(100, MemoryKind::host), doctest::Contains("100 rows"),
                       OptionError);
  CHECK_THROWS_AS(TiledCholesky(0, MemoryKind::host), OptionError);
  TiledCholesky cholesky(64, MemoryKind::host);
  CHECK_THROWS_WITH_AS(cholesky.set(std::vector<double>(64)), doctest::Contains("64 values"),
                       UseError);
}

}  // namespace
}  // namespace aatgs::linear
