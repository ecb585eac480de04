// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/device/steps.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/host/task_scheduler.hpp>
#include <aatgs/integrations/linear/cholesky_tiles.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace aatgs::linear {

/// A = L L^T of a symmetric positive definite matrix, by tiles: the right-looking algorithm of
/// A. Buttari, J. Langou, J. Kurzak, J. Dongarra: A class of parallel tiled linear algebra
/// algorithms for multicore architectures, Parallel Computing 2009. Each tile operation is a task.
class TiledCholesky {
 public:
  using TaskSteps = Steps<FactorTile, SolveTile, UpdateTile>;

  /// For `n` x `n` matrices, in memory of that kind. `n` is a multiple of `cholesky_tile`, at least
  /// once. Throws `OptionError`; what `Memory` throws.
  TiledCholesky(std::uint32_t n, MemoryKind kind, int device = 0)
      : rows_(checked(n) / cholesky_tile),
        tiles_(kind, std::size_t{rows_} * (rows_ + 1) / 2 * tile_values, device) {}

  [[nodiscard]] std::uint32_t size() const { return rows_ * cholesky_tile; }
  [[nodiscard]] TaskSteps steps() const {
    const CholeskyTiles tiles{tiles_.data()};
    return TaskSteps(FactorTile{tiles}, SolveTile{tiles}, UpdateTile{tiles});
  }

  /// The tasks of a factorisation: n/64 factors, and so on; none is aware of the values. If the
  /// matrix is not positive definite the task of the first bad pivot fails with its row + 1.
  [[nodiscard]] TaskGraph<TaskSteps> graph() const {
    TaskGraph<TaskSteps> graph;
    std::vector<TaskId> last(std::size_t{rows_} * rows_, no_task);  // to have written a tile
    const auto at = [&](std::uint32_t i, std::uint32_t j) -> TaskId& {
      return last[i * rows_ + j];
    };
    const auto name = [](const char* what, std::uint32_t i, std::uint32_t j) {
      return std::string(what) + " " + std::to_string(i) + "," + std::to_string(j);
    };
    const auto after = [](std::initializer_list<TaskId> tasks) {
      std::vector<TaskId> known;
      for (const TaskId task : tasks) {
        if (task != no_task) known.push_back(task);
      }
      return known;
    };
    for (std::uint32_t k = 0; k < rows_; ++k) {
      at(k, k) = graph.add<FactorTile>(name("factor", k, k), {k}, after({at(k, k)}));
      for (std::uint32_t i = k + 1; i < rows_; ++i) {
        at(i, k) = graph.add<SolveTile>(name("solve", i, k), {i, k}, after({at(k, k), at(i, k)}));
      }
      for (std::uint32_t i = k + 1; i < rows_; ++i) {
        for (std::uint32_t j = k + 1; j <= i; ++j) {
          at(i, j) = graph.add<UpdateTile>(name("update", i, j), {i, j, k},
                                           after({at(i, k), at(j, k), at(i, j)}));
        }
      }
    }
    return graph;
  }

  /// Takes the lower half of a matrix, row by row. While no run is on its way.
  void set(std::span<const double> matrix) { tiles_.upload(to_tiles(matrix)); }
  /// The lower half, row by row, zeros above: L after a run.
  [[nodiscard]] std::vector<double> get() const {
    const std::vector<double> tiles = tiles_.download();
    const std::uint32_t n = size();
    std::vector<double> matrix(std::size_t{n} * n, 0.0);
    for (std::uint32_t r = 0; r < n; ++r) {
      for (std::uint32_t c = 0; c <= r; ++c) matrix[std::size_t{r} * n + c] = tiles[place(r, c)];
    }
    return matrix;
  }

 private:
  static std::uint32_t checked(std::uint32_t n) {
    if (n >= cholesky_tile && n % cholesky_tile == 0) return n;
    throw OptionError("a tiled Cholesky factorisation of " + std::to_string(n) +
                      " rows: give a multiple of " + std::to_string(cholesky_tile) +
                      " (pad the matrix with ones on the diagonal)");
  }

  static std::size_t place(std::uint32_t r, std::uint32_t c) {
    return CholeskyTiles::index(r / cholesky_tile, c / cholesky_tile) * tile_values +
           std::size_t{r % cholesky_tile} * cholesky_tile + c % cholesky_tile;
  }

  [[nodiscard]] std::vector<double> to_tiles(std::span<const double> matrix) const {
    const std::uint32_t n = size();
    if (matrix.size() != std::size_t{n} * n) {
      throw UseError("a matrix of " + std::to_string(matrix.size()) + " values for a size of " +
                     std::to_string(n) + ": give n x n values, row by row");
    }
    std::vector<double> tiles(tiles_.size(), 0.0);
    for (std::uint32_t r = 0; r < n; ++r) {
      for (std::uint32_t c = 0; c <= r; ++c) tiles[place(r, c)] = matrix[std::size_t{r} * n + c];
    }
    return tiles;
  }

  static constexpr std::size_t tile_values = std::size_t{cholesky_tile} * cholesky_tile;

  std::uint32_t rows_;  ///< of tiles
  Buffer<double> tiles_;
};

}  // namespace aatgs::linear
