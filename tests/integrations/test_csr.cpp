// SPDX-License-Identifier: Apache-2.0
// CsrMatrix and the matrix generators.
#include <doctest/doctest.h>

#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/csr_matrix.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <vector>

using namespace aatgs;
using namespace aatgs::linear;

namespace {

using Offsets = std::vector<std::uint64_t>;
using Columns = std::vector<std::uint32_t>;
using Values = std::vector<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double most = std::numeric_limits<double>::max();

CsrMatrix from(std::size_t rows, std::size_t columns, const std::vector<Triplet>& entries) {
  return {rows, columns, entries};
}

template <class Expected>
std::string error(const std::invocable auto& call) {
  try {
    call();
  } catch (const Expected& e) {
    return e.what();
  }
  return {};
}

Values dense(const CsrMatrix& a) {
  Values all(std::size_t{a.row_count()} * a.column_count(), 0.0);
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    for (std::uint64_t at = a.offsets()[i]; at < a.offsets()[i + 1]; ++at) {
      all[std::size_t{i} * a.column_count() + a.columns()[at]] = a.values()[at];
    }
  }
  return all;
}

}  // namespace

TEST_CASE("entries out of order land in the wrong place, or rows are not sorted") {
  const CsrMatrix a = from(3, 4, {{2, 3, 6}, {0, 2, 2}, {2, 0, 4}, {0, 0, 1}, {2, 1, 5}});
  CHECK(Offsets(a.offsets().begin(), a.offsets().end()) == Offsets{0, 2, 2, 5});
  CHECK(Columns(a.columns().begin(), a.columns().end()) == Columns{0, 2, 0, 1, 3});
  CHECK(Values(a.values().begin(), a.values().end()) == Values{1, 2, 4, 5, 6});
  CHECK(a.row_count() == 3);
  CHECK(a.column_count() == 4);
  CHECK(a.entry_count() == 5);
  CHECK(a.row_length(1) == 0);
}

TEST_CASE("values of one place are not added, or in an order that depends on the sort") {
  // (1 + 1e17) - 1e17 is 0, any other order gives 1.
  const CsrMatrix a = from(2, 2, {{1, 1, 1}, {0, 1, 7}, {1, 1, 1e17}, {1, 0, 3}, {1, 1, -1e17}});
  CHECK(dense(a) == Values{0, 7, 3, 0});
  CHECK(a.entry_count() == 3);  // the zero stays
  CHECK(a == CsrMatrix(2, Offsets{0, 1, 3}, Columns{1, 0, 1}, Values{7, 3, 0}));
}

TEST_CASE("an entry outside the matrix or not finite is accepted") {
  CHECK(error<InputError>([] {
          from(2, 3, {{2, 0, 1}});
        }) == "entry (2, 0) is outside a matrix of 2 x 3");
  CHECK(error<InputError>([] {
          from(2, 3, {{1, 3, 1}});
        }) == "entry (1, 3) is outside a matrix of 2 x 3");
  CHECK(error<InputError>([] {
          from(2, 2, {{1, 0, not_a_number}});
        }) == "entry (1, 0) is not a finite number");
  CHECK(error<InputError>([] {
          from(2, 2, {{0, 0, -infinity}});
        }) == "entry (0, 0) is not a finite number");
  CHECK(error<InputError>([] {
          from(2, 2, {{0, 1, most}, {0, 1, most}});
        }) == "entry (0, 1) is not a finite number");  // their sum
  CHECK_THROWS_AS(from(0, 2, {}), InputError);
  CHECK_THROWS_AS(from(2, 0, {}), InputError);
  CHECK_THROWS_AS(from(max_matrix_size + 1, 2, {}), InputError);
  CHECK_THROWS_AS(from(2, max_matrix_size + 1, {}), InputError);
}

TEST_CASE("arrays that are no matrix are accepted") {
  const auto refused = [](std::size_t columns, Offsets o, Columns c, Values v) {
    return !error<InputError>([&] { CsrMatrix(columns, o, c, v); }).empty();
  };
  CHECK_FALSE(refused(2, {0, 1, 2}, {0, 1}, {1, 1}));
  CHECK(refused(2, {}, {}, {}));
  CHECK(refused(2, {0}, {}, {}));
  CHECK(refused(0, {0, 0}, {}, {}));
  CHECK(refused(2, {1, 1, 2}, {0, 1}, {1, 1}));  // does not begin at 0
  CHECK(refused(2, {0, 1, 1}, {0, 1}, {1, 1}));  // ends before the last
  CHECK(refused(2, {0, 1, 3}, {0, 1}, {1, 1}));  // ends behind it
  CHECK(refused(2, {0, 3, 2}, {0, 1}, {1, 1}));  // descends
  CHECK(refused(2, {0, 1, 2}, {0}, {1, 1}));
  CHECK(refused(2, {0, 1, 2}, {0, 2}, {1, 1}));  // no such column
  CHECK(refused(2, {0, 2, 2}, {1, 0}, {1, 1}));  // not sorted
  CHECK(refused(2, {0, 2, 2}, {1, 1}, {1, 1}));  // twice
  CHECK(refused(2, {0, 1, 2}, {0, 1}, {1, not_a_number}));
}

TEST_CASE("the product with a vector is wrong") {
  const CsrMatrix a = from(3, 2, {{0, 0, 2}, {0, 1, 3}, {2, 0, -1}});
  Values y(3, 99);
  a.multiply(Values{5, 7}, y);
  CHECK(y == Values{31, 0, -5});
  CHECK_THROWS_AS(a.multiply(Values{5, 7, 1}, y), UseError);
  Values small(2);
  CHECK_THROWS_AS(a.multiply(Values{5, 7}, small), UseError);
}

TEST_CASE("a matrix that is not symmetric passes for one") {
  const std::vector<Triplet> good = {{0, 0, 1}, {0, 2, 5}, {1, 1, 2},
                                     {2, 0, 5}, {2, 1, 6}, {1, 2, 6}};
  CHECK_FALSE(from(3, 3, good).asymmetry());
  CHECK_FALSE(from(3, 3, {}).asymmetry());
  const auto odd = [&](Triplet more) {
    auto entries = good;
    entries.push_back(more);
    return from(3, 3, entries).asymmetry().has_value();
  };
  CHECK(odd({0, 1, 9}));      // no mirror image, above
  CHECK(odd({1, 0, 9}));      // no mirror image, below
  CHECK(odd({2, 0, 1e-15}));  // another value
  CHECK(odd({0, 1, 0}));      // a zero has a place, too
  CHECK_FALSE(odd({2, 2, 9}));
  const auto found = from(3, 3, {{0, 2, 5}, {2, 0, 4}}).asymmetry();
  REQUIRE(found);
  CHECK(found->row == 0);
  CHECK(found->column == 2);
  CHECK(from(3, 3, {{0, 1, 5}, {1, 2, 5}, {2, 0, 5}}).asymmetry());  // a circle of equal values
  CHECK(from(2, 3, {{0, 0, 1}}).asymmetry());
}

TEST_CASE("a Poisson matrix joins the end of a line to the next one's begin, or swaps the sides") {
  // clang-format off
  CHECK(dense(poisson_2d(3, 2)) == Values{
      4, -1, 0, -1, 0, 0,
      -1, 4, -1, 0, -1, 0,
      0, -1, 4, 0, 0, -1,
      -1, 0, 0, 4, -1, 0,
      0, -1, 0, -1, 4, -1,
      0, 0, -1, 0, -1, 4});
  // clang-format on
  CHECK(dense(poisson_2d(1, 1)) == Values{4});
  const CsrMatrix a = poisson_3d(2, 3, 4);
  CHECK(a.row_count() == 24);
  CHECK_FALSE(a.asymmetry());
  for (std::uint32_t i = 0; i < 24; ++i) {
    for (std::uint32_t j = 0; j < 24; ++j) {
      const auto apart = [](std::uint32_t p, std::uint32_t q) { return p > q ? p - q : q - p; };
      const std::uint32_t steps =
          apart(i % 2, j % 2) + apart(i / 2 % 3, j / 2 % 3) + apart(i / 6, j / 6);
      CHECK(dense(a)[i * 24 + j] == (steps == 0 ? 6 : steps == 1 ? -1 : 0));
    }
  }
}

TEST_CASE("the unstructured matrix is not symmetric, not definite, or not unstructured") {
  const CsrMatrix a = geometric_laplacian(3000, 8, 7);
  CHECK(a.row_count() == 3000);
  CHECK_FALSE(a.asymmetry());
  std::uint32_t least = 99;
  std::uint32_t longest = 0;
  for (std::uint32_t i = 0; i < a.row_count(); ++i) {
    double sum = 0;  // of I + L: 1
    for (std::uint64_t at = a.offsets()[i]; at < a.offsets()[i + 1]; ++at) {
      sum += a.values()[at];
      if (a.columns()[at] != i) CHECK(a.values()[at] < 0);
    }
    CHECK(std::abs(sum - 1) < 1e-12);
    least = std::min(least, a.row_length(i));
    longest = std::max(longest, a.row_length(i));
  }
  const double mean = static_cast<double>(a.entry_count()) / 3000 - 1;
  CHECK(mean > 7);  // points at the border have fewer
  CHECK(mean < 8.5);
  CHECK(longest > 2 * least);
}

TEST_CASE("a seed does not decide the unstructured matrix") {
  CHECK(geometric_laplacian(500, 6, 1) == geometric_laplacian(500, 6, 1));
  CHECK_FALSE(geometric_laplacian(500, 6, 1) == geometric_laplacian(500, 6, 2));
  CHECK(dense(geometric_laplacian(2, 0, 1)) == Values{1, 0, 0, 1});
  CHECK(geometric_laplacian(3, 256, 1).entry_count() == 9);
}

TEST_CASE("a generator takes a size that it cannot make") {
  CHECK_THROWS_AS(poisson_2d(0, 5), OptionError);
  CHECK_THROWS_AS(poisson_2d(5, 0), OptionError);
  CHECK_THROWS_AS(poisson_2d(1U << 14, (1U << 13) + 1), OptionError);
  CHECK_THROWS_AS(poisson_2d(std::size_t{1} << 32, std::size_t{1} << 32), OptionError);
  CHECK_THROWS_AS(poisson_3d(5, 5, 0), OptionError);
  CHECK_THROWS_AS(poisson_3d(std::size_t{1} << 22, std::size_t{1} << 21, std::size_t{1} << 21),
                  OptionError);
  CHECK_THROWS_AS(geometric_laplacian(0, 5, 1), OptionError);
  CHECK_THROWS_AS(geometric_laplacian(max_matrix_size + 1, 5, 1), OptionError);
  CHECK_THROWS_AS(geometric_laplacian(10, -1, 1), OptionError);
  CHECK_THROWS_AS(geometric_laplacian(10, 257, 1), OptionError);
  CHECK_THROWS_AS(geometric_laplacian(10, not_a_number, 1), OptionError);
}
