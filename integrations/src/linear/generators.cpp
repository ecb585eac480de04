// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/linear/generators.hpp>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <string>
#include <utility>

namespace aatgs::linear {
namespace {

/// Collects rows in order, their entries in ascending columns.
class Rows {
 public:
  Rows(std::size_t rows, std::size_t entries) {
    offsets_.reserve(rows + 1);
    columns_.reserve(entries);
    values_.reserve(entries);
    offsets_.push_back(0);
  }
  void add(std::size_t column, double value) {
    columns_.push_back(static_cast<std::uint32_t>(column));
    values_.push_back(value);
  }
  void end_row() { offsets_.push_back(values_.size()); }
  CsrMatrix matrix() && {
    const std::size_t rows = offsets_.size() - 1;
    return {rows, std::move(offsets_), std::move(columns_), std::move(values_)};
  }

 private:
  std::vector<std::uint64_t> offsets_;
  std::vector<std::uint32_t> columns_;
  std::vector<double> values_;
};

void check_grid(const char* what, std::size_t nx, std::size_t ny, std::size_t nz) {
  const bool fits = nx >= 1 && ny >= 1 && nz >= 1 && nx <= max_matrix_size &&
                    ny <= max_matrix_size / nx && nz <= max_matrix_size / nx / ny;
  if (fits) return;
  throw OptionError(std::string(what) + " of " + std::to_string(nx) + " x " + std::to_string(ny) +
                    " x " + std::to_string(nz) +
                    ": each side must be at least 1, and all at most " +
                    std::to_string(max_matrix_size) + " points");
}

CsrMatrix poisson(std::size_t nx, std::size_t ny, std::size_t nz, double diagonal) {
  const std::size_t n = nx * ny * nz;
  Rows rows(n, n * static_cast<std::size_t>(diagonal + 1));
  std::size_t i = 0;
  for (std::size_t z = 0; z < nz; ++z) {
    for (std::size_t y = 0; y < ny; ++y) {
      for (std::size_t x = 0; x < nx; ++x, ++i) {
        if (z > 0) rows.add(i - nx * ny, -1);
        if (y > 0) rows.add(i - nx, -1);
        if (x > 0) rows.add(i - 1, -1);
        rows.add(i, diagonal);
        if (x + 1 < nx) rows.add(i + 1, -1);
        if (y + 1 < ny) rows.add(i + nx, -1);
        if (z + 1 < nz) rows.add(i + nx * ny, -1);
        rows.end_row();
      }
    }
  }
  return std::move(rows).matrix();
}

struct Point {
  double x;
  double y;
};

/// Points sorted into square cells, row by row, so that near points get near numbers.
class Cells {
 public:
  Cells(std::vector<Point> points, std::size_t side) : side_(side), begin_(side * side + 1, 0) {
    for (const Point& p : points) ++begin_[cell(p) + 1];
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    points_.resize(points.size());
    for (const Point& p : points) points_[next[cell(p)]++] = p;
  }

  [[nodiscard]] const std::vector<Point>& points() const { return points_; }

  /// Calls `use` with each point in the cell of `p` and those around it, in ascending order.
  template <class Use>
  void for_each_near(const Point& p, Use use) const {
    const std::size_t column = cell(p) % side_;
    const std::size_t row = cell(p) / side_;
    const std::size_t first = column > 0 ? column - 1 : 0;
    const std::size_t last = std::min(column + 1, side_ - 1);
    for (std::size_t r = row > 0 ? row - 1 : 0; r <= std::min(row + 1, side_ - 1); ++r) {
      const std::size_t end = begin_[r * side_ + last + 1];
      for (std::size_t j = begin_[r * side_ + first]; j < end; ++j) use(j);
    }
  }

 private:
  [[nodiscard]] std::size_t cell(const Point& p) const {
    const auto index = [&](double at) {
      return std::min(static_cast<std::size_t>(at * static_cast<double>(side_)), side_ - 1);
    };
    return index(p.y) * side_ + index(p.x);
  }

  std::size_t side_;
  std::vector<std::size_t> begin_;
  std::vector<Point> points_;
};

}  // namespace

CsrMatrix poisson_2d(std::size_t nx, std::size_t ny) {
  check_grid("a 2D Poisson matrix", nx, ny, 1);
  return poisson(nx, ny, 1, 4);
}

CsrMatrix poisson_3d(std::size_t nx, std::size_t ny, std::size_t nz) {
  check_grid("a 3D Poisson matrix", nx, ny, nz);
  return poisson(nx, ny, nz, 6);
}

CsrMatrix geometric_laplacian(std::size_t n, double degree, std::uint64_t seed) {
  check_grid("a geometric Laplacian", n, 1, 1);
  if (!(degree >= 0 && degree <= 256)) {
    throw OptionError("a geometric Laplacian of degree " + std::to_string(degree) +
                      ": must be in 0..256");
  }
  std::mt19937_64 random(seed);  // its numbers are the same everywhere, those of distributions not
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  std::vector<Point> scattered(n);
  for (Point& p : scattered) {
    p.x = uniform();
    p.y = uniform();
  }
  const double radius2 = degree / (std::numbers::pi * static_cast<double>(n));
  // Cells no narrower than the radius, and not many more than points.
  const double widest = std::max(std::sqrt(radius2), 1 / std::sqrt(static_cast<double>(n)));
  const Cells cells(std::move(scattered),
                    std::max<std::size_t>(1, static_cast<std::size_t>(1 / widest)));
  const std::vector<Point>& points = cells.points();
  Rows rows(n, n * static_cast<std::size_t>(degree + 2));
  std::vector<std::pair<std::size_t, double>> row;
  for (std::size_t i = 0; i < n; ++i) {
    row.clear();
    double diagonal = 1;
    cells.for_each_near(points[i], [&](std::size_t j) {
      const double dx = points[i].x - points[j].x;
      const double dy = points[i].y - points[j].y;
      const double distance2 = dx * dx + dy * dy;
      if (j != i && distance2 < radius2) {
        const double weight = 1 - distance2 / radius2 / 2;
        diagonal += weight;
        row.emplace_back(j, -weight);
      }
      if (j == i) row.emplace_back(i, 0);
    });
    for (const auto& [j, value] : row) rows.add(j, j == i ? diagonal : value);
    rows.end_row();
  }
  return std::move(rows).matrix();
}

}  // namespace aatgs::linear
