// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "triangular_plan.hpp"

namespace aatgs::linear {
namespace {

/// Rows of a factor are named as in the matrix.
class Taking {
 public:
  explicit Taking(const TriangularFactor& factor)
      : a_(factor.matrix), diagonal_(factor.diagonal), n_(a_.row_count()) {
    t_.reversed = factor.triangle == Triangle::upper;
    if (n_ != a_.column_count()) {
      throw InputError("triangular solve with a matrix of " + std::to_string(n_) + " x " +
                       std::to_string(a_.column_count()) + ": it must be square");
    }
    t_.offsets.reserve(n_ + std::size_t{1});
    t_.offsets.push_back(0);
    t_.rows_read.reserve(a_.entry_count());
    t_.factors.reserve(a_.entry_count());
    t_.scales.resize(n_, 1.0);
    t_.levels.resize(n_, 0);
    for (std::uint32_t r = 0; r < n_; ++r) take_row(r);
    if (t_.factors.size() > std::numeric_limits<std::uint32_t>::max()) {
      throw InputError("triangular solve with " + std::to_string(t_.factors.size()) +
                       " entries: at most 2^32 - 1 can be laid out");
    }
  }

  Elimination take() && { return std::move(t_); }

 private:
  [[nodiscard]] std::uint32_t mirrored(std::uint32_t i) const {
    return t_.reversed ? n_ - 1 - i : i;
  }

  void take_row(std::uint32_t r) {
    const std::uint32_t i = mirrored(r);
    entries_.clear();
    double diagonal = diagonal_ == Diagonal::unit ? 1 : 0;
    for (std::uint64_t at = a_.offsets()[i]; at < a_.offsets()[i + std::size_t{1}]; ++at) {
      const std::uint32_t other = mirrored(a_.columns()[at]);
      if (other > r) refuse_side(i, a_.columns()[at]);
      if (other == r) {
        diagonal = a_.values()[at];
      } else {
        entries_.emplace_back(other, a_.values()[at]);
      }
    }
    check_diagonal(i, diagonal);
    std::sort(entries_.begin(), entries_.end(), [&](const auto& x, const auto& y) {
      return std::pair(t_.levels[x.first], x.first) < std::pair(t_.levels[y.first], y.first);
    });
    t_.scales[r] = 1 / diagonal;
    for (const auto& [other, value] : entries_) {
      t_.rows_read.push_back(other);
      t_.factors.push_back(-value / diagonal);
      if (!std::isfinite(t_.factors.back())) refuse_scale(i);
    }
    if (!std::isfinite(t_.scales[r])) refuse_scale(i);
    if (!entries_.empty()) t_.levels[r] = t_.levels[entries_.back().first] + 1;
    t_.level_count = std::max(t_.level_count, t_.levels[r] + 1);
    t_.offsets.push_back(t_.rows_read.size());
  }

  void refuse_side(std::uint32_t i, std::uint32_t column) const {
    throw InputError("solve with a" + std::string(t_.reversed ? "n upper" : " lower") +
                     " triangle that has entry (" + std::to_string(i) + ", " +
                     std::to_string(column) + ") on the other side of its diagonal");
  }
  void check_diagonal(std::uint32_t i, double diagonal) const {
    if (diagonal_ == Diagonal::unit ? diagonal == 1 : diagonal != 0) return;
    throw InputError("solve with a triangle whose row " + std::to_string(i) +
                     (diagonal_ == Diagonal::unit
                          ? " has a diagonal entry other than the 1 that was promised"
                          : " has no diagonal entry, or 0 there: it is singular"));
  }
  [[noreturn]] static void refuse_scale(std::uint32_t i) {
    throw InputError("solve with a triangle whose row " + std::to_string(i) +
                     " divided by its diagonal leaves float64: scale the matrix");
  }

  const CsrMatrix& a_;
  Diagonal diagonal_;
  std::uint32_t n_;
  Elimination t_;
  std::vector<std::pair<std::uint32_t, double>> entries_;
};

}  // namespace

Elimination eliminate(const TriangularFactor& factor) {
  return Taking(factor).take();
}

}  // namespace aatgs::linear
