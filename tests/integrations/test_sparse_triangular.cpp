// SPDX-License-Identifier: Apache-2.0
// Triangular solves on host threads, what they refuse, and incomplete factors.
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/matrix_market.hpp>
#include <sstream>

#include "triangular_suite.hpp"

namespace aatgs::linear::test {

std::vector<ContextOptions> triangular_executors() {
  std::vector<ContextOptions> all;
  for (const std::uint32_t threads : {1U, 3U}) {
    ContextOptions options;
    options.executor = ExecutorKind::cpu;
    options.cpu_threads = threads;
    all.push_back(options);
  }
  return all;
}

namespace {

template <class Expected, class Call>
std::string error(const Call& call) {
  try {
    call();
  } catch (const Expected& e) {
    return e.what();
  }
  return {};
}

TriangularOptions on_cpu() {
  TriangularOptions options;
  options.context = triangular_executors().front();
  return options;
}

CsrMatrix from(std::size_t n, const std::vector<Triplet>& entries) {
  return {n, n, entries};
}

/// What solving with such a matrix says.
std::string refusal(const CsrMatrix& matrix, Triangle triangle, Diagonal diagonal) {
  return error<InputError>([&] { SparseTriangular({matrix, triangle, diagonal}, on_cpu()); });
}

TEST_CASE("triangular solve: a matrix that is no triangle is solved all the same") {
  const auto lower = Triangle::lower;
  const auto upper = Triangle::upper;
  const auto stored = Diagonal::stored;
  const auto unit = Diagonal::unit;
  const CsrMatrix full = from(2, {{0, 0, 1}, {0, 1, 3}, {1, 0, 2}, {1, 1, 1}});
  CHECK(refusal(full, lower, stored).find("(0, 1)") != std::string::npos);
  CHECK(refusal(full, upper, stored).find("(1, 0)") != std::string::npos);
  CHECK(refusal({2, 3, std::vector<Triplet>{}}, lower, stored).find("2 x 3") != std::string::npos);
  const CsrMatrix hole = from(3, {{0, 0, 1}, {1, 0, 2}, {2, 2, 1}});
  CHECK(refusal(hole, lower, stored).find("row 1") != std::string::npos);
  CHECK(refusal(hole, lower, unit).empty());
  CHECK(refusal(from(2, {{0, 0, 1}, {1, 1, 0}}), lower, stored).find("singular") !=
        std::string::npos);
  CHECK(refusal(from(2, {{0, 0, 1}, {1, 1, 2}}), lower, unit).find("row 1") != std::string::npos);
  CHECK(refusal(from(2, {{0, 0, 1}, {1, 0, 1e200}, {1, 1, 1e-200}}), lower, stored).find("row 1") !=
        std::string::npos);
}

TEST_CASE("triangular solve: sizes and options that cannot work pass") {
  const CsrMatrix three = chain(3);
  const CsrMatrix four = chain(4);
  SparseTriangular solver({three, Triangle::lower}, on_cpu());
  CHECK(error<UseError>([&] { solver.solve(std::vector<double>(4)); }).find("4 values") !=
        std::string::npos);
  CHECK(error<UseError>([&] { SparseTriangular({}, on_cpu()); }).find("at least one") !=
        std::string::npos);
  const TriangularFactor unequal[] = {{three}, {four}};
  CHECK(error<UseError>([&] { SparseTriangular(unequal, on_cpu()); }).find("3 and 4") !=
        std::string::npos);
  const auto option = [&](auto change) {
    TriangularOptions options = on_cpu();
    change(options);
    return error<OptionError>([&] { SparseTriangular({three}, options); });
  };
  CHECK(option([](auto& o) { o.scratch_bytes = 16; }).find("16 bytes") != std::string::npos);
  CHECK(option([](auto& o) {
          o.context.executor = ExecutorKind::graph_queue;
        }).find("all its blocks") != std::string::npos);
  CHECK(option([](auto& o) { o.chunk_rows = 1 << 28; }).find("268435456") != std::string::npos);
  CHECK(option([](auto& o) { o.solve_deadline = {}; }).find("solve_deadline") != std::string::npos);
  CHECK(option([](auto& o) {
          o.context.telemetry_policy = TelemetryPolicy::overwrite_oldest;
        }).find("telemetry_policy") != std::string::npos);
}

TEST_CASE("triangular solve: the longest deadline is over at once") {
  const CsrMatrix matrix = chain(300);
  TriangularOptions options = on_cpu();
  options.solve_deadline = std::chrono::nanoseconds::max();
  SparseTriangular solver({matrix}, options);
  const std::vector<double> b = random_vector(300, 1);
  for (int i = 0; i < 5; ++i) CHECK(excess(matrix, solver.solve(b), b) <= 1);
}

TEST_CASE("triangular solve: levels are counted wrong") {
  const auto levels = [](const CsrMatrix& matrix) {
    return SparseTriangular({matrix}, on_cpu()).levels();
  };
  CHECK(levels(chain(50)) == 50);
  CHECK(levels(random_lower(50, [](std::uint32_t) { return 0U; })) == 1);
  CHECK(levels(incomplete_lu(poisson_2d(13, 8)).lower) == 20);
}

/// Largest difference of L U from A where A has entries, and the largest L U elsewhere.
std::pair<double, double> product_error(const CsrMatrix& a, const IncompleteFactors& f) {
  const std::uint32_t n = a.row_count();
  std::vector<double> column(n);
  std::vector<double> upper(n);
  std::vector<double> product(n);
  std::pair<double, double> worst{0, 0};
  const CsrMatrix mirrored = transposed(a);
  for (std::uint32_t j = 0; j < n; ++j) {
    std::fill(column.begin(), column.end(), 0.0);
    column[j] = 1;
    f.upper.multiply(column, upper);
    f.lower.multiply(upper, product);
    std::vector<bool> kept(n, false);
    for (std::uint64_t at = mirrored.offsets()[j]; at < mirrored.offsets()[j + std::size_t{1}];
         ++at) {
      const std::uint32_t i = mirrored.columns()[at];
      kept[i] = true;
      worst.first = std::max(worst.first, std::abs(product[i] - mirrored.values()[at]));
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      if (!kept[i]) worst.second = std::max(worst.second, std::abs(product[i]));
    }
  }
  return worst;
}

TEST_CASE("incomplete LU: the factors do not give the matrix back where it has entries") {
  const CsrMatrix flat = poisson_2d(11, 7);
  const auto [kept, dropped] = product_error(flat, incomplete_lu(flat));
  CHECK(kept < 1e-14);
  CHECK(dropped > 0.1);  // else it was no incomplete factorisation
  std::istringstream text(
      "%%MatrixMarket matrix coordinate real general\n3 3 7\n1 1 4\n1 2 1\n2 1 2\n2 2 5\n2 3 3\n"
      "3 2 1\n3 3 6\n");
  const CsrMatrix narrow = read_matrix_market(text, "narrow");
  const auto [all, none] = product_error(narrow, incomplete_lu(narrow));
  CHECK(all < 1e-15);  // no fill-in: the whole LU
  CHECK(none < 1e-15);
}

TEST_CASE("incomplete LU: a matrix without pivots is factorised all the same") {
  const auto refused = [](const CsrMatrix& a) {
    return error<InputError>([&] { incomplete_lu(a); });
  };
  CHECK(refused({2, 3, std::vector<Triplet>{}}).find("2 x 3") != std::string::npos);
  CHECK(refused(from(2, {{0, 0, 1}, {1, 0, 1}})).find("row 1") != std::string::npos);
  CHECK(refused(from(2, {{0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}})).find("row 1") !=
        std::string::npos);
}

}  // namespace
}  // namespace aatgs::linear::test
