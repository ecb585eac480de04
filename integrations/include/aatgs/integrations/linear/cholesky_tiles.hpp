// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/runtime/platform.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace aatgs::linear {

/// Rows and columns of a tile.
inline constexpr std::uint32_t cholesky_tile = 64;

/// The lower half of a matrix as tiles of row-major doubles, row of tiles by row of tiles.
struct CholeskyTiles {
  double* values;

  AATGS_HOST_DEVICE static std::size_t index(std::uint32_t i, std::uint32_t j) {
    return std::size_t{i} * (i + 1) / 2 + j;
  }
  [[nodiscard]] AATGS_HOST_DEVICE double* at(std::uint32_t i, std::uint32_t j) const {
    return values + index(i, j) * cholesky_tile * cholesky_tile;
  }
};

namespace detail {

/// A tile in scratch. Rows are one value longer, so that a column's values lie in different banks.
struct NearTile {
  static constexpr std::uint32_t stride = cholesky_tile + 1;
  static constexpr std::size_t bytes = sizeof(double) * cholesky_tile * stride;
  double* values;

  AATGS_HOST_DEVICE double& operator()(std::uint32_t r, std::uint32_t c) const {
    return values[r * stride + c];
  }
  template <class Group>
  AATGS_HOST_DEVICE void load(Group& group, const double* from) const {
    for (std::uint32_t i = group.rank(); i < cholesky_tile * cholesky_tile; i += group.size()) {
      (*this)(i / cholesky_tile, i % cholesky_tile) = from[i];
    }
  }
  template <class Group>
  AATGS_HOST_DEVICE void store(Group& group, double* to) const {
    for (std::uint32_t i = group.rank(); i < cholesky_tile * cholesky_tile; i += group.size()) {
      to[i] = (*this)(i / cholesky_tile, i % cholesky_tile);
    }
  }
};

}  // namespace detail

/// A(k,k) becomes its own Cholesky factor. Fails with row + 1 at a pivot that is not positive.
struct FactorTile {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t k;
  };
  CholeskyTiles tiles;

  [[nodiscard]] std::size_t scratch_bytes() const { return detail::NearTile::bytes; }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    const detail::NearTile a{group.template scratch<double>()};
    double* const far = tiles.at(config.k, config.k);
    a.load(group, far);
    group.sync();
    for (std::uint32_t c = 0; c < cholesky_tile; ++c) {
      const double pivot = a(c, c);
      if (!(pivot > 0)) {  // nan, too; the same for all threads
        group.fail(config.k * cholesky_tile + c + 1);
        return;
      }
      const double root = std::sqrt(pivot);
      group.sync();
      for (std::uint32_t r = c + group.rank(); r < cholesky_tile; r += group.size()) {
        a(r, c) = r == c ? root : a(r, c) / root;
      }
      group.sync();
      const std::uint32_t rest = cholesky_tile - c - 1;
      for (std::uint32_t i = group.rank(); i < rest * rest; i += group.size()) {
        const std::uint32_t r = c + 1 + i / rest;
        const std::uint32_t d = c + 1 + i % rest;
        if (d <= r) a(r, d) -= a(r, c) * a(d, c);
      }
      group.sync();
    }
    a.store(group, far);
  }
};

/// A(i,k) becomes A(i,k) L(k,k)^-T.
struct SolveTile {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t i;
    std::uint32_t k;
  };
  CholeskyTiles tiles;

  [[nodiscard]] std::size_t scratch_bytes() const { return 2 * detail::NearTile::bytes; }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    const detail::NearTile l{group.template scratch<double>()};
    const detail::NearTile x{l.values + detail::NearTile::bytes / sizeof(double)};
    double* const far = tiles.at(config.i, config.k);
    l.load(group, tiles.at(config.k, config.k));
    x.load(group, far);
    group.sync();
    for (std::uint32_t c = 0; c < cholesky_tile; ++c) {
      for (std::uint32_t r = group.rank(); r < cholesky_tile; r += group.size()) {
        x(r, c) /= l(c, c);
      }
      group.sync();
      const std::uint32_t rest = cholesky_tile - c - 1;
      for (std::uint32_t i = group.rank(); i < cholesky_tile * rest; i += group.size()) {
        const std::uint32_t r = i / rest;
        const std::uint32_t d = c + 1 + i % rest;
        x(r, d) -= x(r, c) * l(d, c);
      }
      group.sync();
    }
    x.store(group, far);
  }
};

/// A(i,j) becomes A(i,j) - A(i,k) A(j,k)^T.
struct UpdateTile {
  static constexpr bool spawns = false;
  struct Config {
    std::uint32_t i;
    std::uint32_t j;
    std::uint32_t k;
  };
  CholeskyTiles tiles;

  [[nodiscard]] std::size_t scratch_bytes() const { return 2 * detail::NearTile::bytes; }

  template <class Group>
  AATGS_HOST_DEVICE void operator()(Group& group, const Config& config) const {
    const detail::NearTile a{group.template scratch<double>()};
    const detail::NearTile b{a.values + detail::NearTile::bytes / sizeof(double)};
    a.load(group, tiles.at(config.i, config.k));
    b.load(group, tiles.at(config.j, config.k));
    group.sync();
    double* const c = tiles.at(config.i, config.j);
    // A patch of 4 x 4 for each of 256 threads, its rows and columns 16 apart.
    constexpr std::uint32_t across = cholesky_tile / 4;
    for (std::uint32_t patch = group.rank(); patch < across * across; patch += group.size()) {
      const std::uint32_t row = patch / across;
      const std::uint32_t column = patch % across;
      double sums[4][4] = {};
      for (std::uint32_t m = 0; m < cholesky_tile; ++m) {
        double right[4];
        for (std::uint32_t v = 0; v < 4; ++v) right[v] = b(column + v * across, m);
        for (std::uint32_t u = 0; u < 4; ++u) {
          const double left = a(row + u * across, m);
          for (std::uint32_t v = 0; v < 4; ++v) sums[u][v] += left * right[v];
        }
      }
      for (std::uint32_t u = 0; u < 4; ++u) {
        for (std::uint32_t v = 0; v < 4; ++v) {
          c[(row + u * across) * cholesky_tile + column + v * across] -= sums[u][v];
        }
      }
    }
  }
};

}  // namespace aatgs::linear
