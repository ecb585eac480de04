// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace aatgs::linear {

/// One entry of a matrix, 0-based.
struct Triplet {
  std::uint32_t row;
  std::uint32_t column;
  double value;
};

/// Most rows, and most columns, a matrix may have. A limit of its own, so that a typing error in a
/// file's header is an error message and not an attempt to allocate all memory.
inline constexpr std::size_t max_matrix_size = std::size_t{1} << 27;

/// A sparse matrix of float64 in compressed rows; immutable, so threads may share it.
///
/// Row i is `columns()` and `values()` at `offsets()[i] .. offsets()[i + 1]`, columns ascending,
/// each once. All values are finite; zeros that were given are kept.
class CsrMatrix {
 public:
  /// From entries in any order; values of one place are added up, in the order given.
  /// Throws InputError at a place outside the matrix, at a value that is not finite, and unless
  /// both sizes are in 1..max_matrix_size.
  CsrMatrix(std::size_t row_count, std::size_t column_count, std::span<const Triplet> entries);

  /// From finished arrays, which are checked for all that is said above. Throws InputError.
  CsrMatrix(std::size_t column_count, std::vector<std::uint64_t> offsets,
            std::vector<std::uint32_t> columns, std::vector<double> values);

  [[nodiscard]] std::uint32_t row_count() const noexcept {
    return static_cast<std::uint32_t>(offsets_.size() - 1);
  }
  [[nodiscard]] std::uint32_t column_count() const noexcept { return column_count_; }
  [[nodiscard]] std::uint64_t entry_count() const noexcept { return values_.size(); }

  /// `row_count() + 1` indices into the two arrays below.
  [[nodiscard]] std::span<const std::uint64_t> offsets() const noexcept { return offsets_; }
  [[nodiscard]] std::span<const std::uint32_t> columns() const noexcept { return columns_; }
  [[nodiscard]] std::span<const double> values() const noexcept { return values_; }

  /// Entries of row `i`.
  [[nodiscard]] std::uint32_t row_length(std::uint32_t i) const noexcept {
    return static_cast<std::uint32_t>(offsets_[i + std::size_t{1}] - offsets_[i]);
  }

  /// y = A x. Throws UseError if a vector has the wrong size.
  void multiply(std::span<const double> x, std::span<double> y) const;

  /// The first entry (row by row) whose mirror image is missing or not exactly equal; none: the
  /// matrix is symmetric. A matrix that is not square has its first entry named. Linear time.
  [[nodiscard]] std::optional<Triplet> asymmetry() const;

  friend bool operator==(const CsrMatrix&, const CsrMatrix&) = default;

 private:
  std::uint32_t column_count_;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::uint32_t> columns_;
  std::vector<double> values_;
};

}  // namespace aatgs::linear
