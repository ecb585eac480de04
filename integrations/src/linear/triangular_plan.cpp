// SPDX-License-Identifier: Apache-2.0
#include "triangular_plan.hpp"

#include <aatgs/host/errors.hpp>
#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <tuple>
#include <utility>

namespace aatgs::linear {
namespace {

constexpr std::uint32_t batch_rows = 32;
constexpr std::uint32_t none = ~0U;

/// Entries from which on a whole warp works at a row.
constexpr std::uint32_t wide_entries = 64;

/// All rows, those of the lowest level first.
std::vector<std::uint32_t> by_level(const Elimination& t) {
  std::vector<std::uint32_t> begin(t.level_count + std::size_t{1}, 0);
  for (const std::uint32_t level : t.levels) ++begin[level + std::size_t{1}];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint32_t> order(t.rows());
  for (std::uint32_t r = 0; r < t.rows(); ++r) order[begin[t.levels[r]]++] = r;
  return order;
}

/// Two entries are enough for nearly all rows, or four are kept at hand.
std::uint32_t choose_width(const Elimination& t) {
  std::uint64_t more = 0;
  for (std::uint32_t r = 0; r < t.rows(); ++r) {
    more += t.offsets[r + std::size_t{1}] - t.offsets[r] > 2 ? 1 : 0;
  }
  return more * 16 > t.rows() ? 4 : 2;
}

/// Microseconds that the longest chain of rows takes with such chunks. The constants fit solves of
/// 1999 levels with 42 to 125 chunks on an H200 (384 to 316 us) within 2 %.
double estimate_us(const Elimination& t, std::uint32_t chunk_rows) {
  constexpr float within = 0.14F;
  constexpr float across = 0.96F;
  std::vector<float> known(t.rows());
  float last = 0;
  for (std::uint32_t r = 0; r < t.rows(); ++r) {
    const std::uint32_t first = r - r % chunk_rows;
    float when = 0;
    for (std::uint64_t e = t.offsets[r]; e < t.offsets[r + std::size_t{1}]; ++e) {
      const std::uint32_t other = t.rows_read[e];
      when = std::max(when, known[other] + (other < first ? across : within));
    }
    known[r] = when;
    last = std::max(last, when);
  }
  constexpr float rows_by_us = 200;  // of one block, at least
  return std::max(last, static_cast<float>(chunk_rows) / rows_by_us);
}

/// Whether a block's scratch holds all that a chunk of so many rows reads.
bool fits(const Elimination& t, std::uint32_t chunk_rows, std::size_t room) {
  std::vector<std::uint32_t> read_by(t.rows(), none);  // the last chunk that reads the row
  std::size_t held = 0;
  for (std::uint32_t r = 0; r < t.rows(); ++r) {
    const std::uint32_t chunk = r / chunk_rows;
    if (r % chunk_rows == 0) held = chunk_rows;
    for (std::uint64_t e = t.offsets[r]; e < t.offsets[r + std::size_t{1}]; ++e) {
      const std::uint32_t other = t.rows_read[e];
      if (other >= r - r % chunk_rows || read_by[other] == chunk) continue;
      read_by[other] = chunk;
      if (++held > room) return false;
    }
  }
  return true;
}

std::uint32_t choose_chunk_rows(const Elimination& t, const TriangularShape& shape) {
  constexpr std::size_t head = TriangularView::scratch_head + sizeof(double);
  const std::size_t room = shape.scratch_bytes < head ? 0 : (shape.scratch_bytes - head) / 8;
  if (room == 0) {
    throw OptionError("scratch of " + std::to_string(shape.scratch_bytes) +
                      " bytes a block has no room for a row of a triangle: give at least 32");
  }
  if (shape.chunk_rows > room) {
    throw OptionError("chunk_rows = " + std::to_string(shape.chunk_rows) + ": a block's scratch " +
                      "has room for " + std::to_string(room));
  }
  if (shape.chunk_rows != 0) return shape.chunk_rows;
  // A quarter is for what comes from other chunks.
  const auto most = static_cast<std::uint32_t>(
      std::clamp<std::size_t>(room - room / 4, 1, TriangularView::row_mask));
  std::uint32_t best = std::min(most, (t.rows() + shape.parts - 1) / shape.parts);
  double best_us = estimate_us(t, best);
  for (std::uint32_t rows = best; rows < most && rows < t.rows();) {
    rows = std::min(most, rows + rows / 2 + 1);
    const double us = estimate_us(t, rows);
    if (us < best_us && fits(t, rows, room)) std::tie(best, best_us) = std::pair(rows, us);
  }
  return best;
}

/// Lays one chunk after the other out.
class Layout {
 public:
  Layout(const Elimination& t, const TriangularShape& shape, TriangularPlan& plan)
      : t_(t),
        plan_(plan),
        room_((shape.scratch_bytes - TriangularView::scratch_head) / sizeof(double)),
        exported_(t.rows(), false),
        external_(t.rows(), none) {
    for (std::uint32_t r = 0; r < t.rows(); ++r) {
      for (std::uint64_t e = t.offsets[r]; e < t.offsets[r + std::size_t{1}]; ++e) {
        if (t.rows_read[e] / plan.chunk_rows != r / plan.chunk_rows) {
          exported_[t.rows_read[e]] = true;
        }
      }
    }
  }

  /// `rows`: those of the chunk by level.
  void add(std::span<const std::uint32_t> rows) {
    chunk_ = {};
    chunk_.first_row = *std::min_element(rows.begin(), rows.end());
    chunk_.rows = static_cast<std::uint32_t>(rows.size());
    chunk_.first_batch = batches();
    chunk_.first_external = static_cast<std::uint32_t>(plan_.externals.size());
    for (const std::uint32_t row : rows) {
      const bool wide = length(row) > wide_entries;
      if (wide || place_ % batch_rows == 0) begin_batch();
      add_row(row, wide);
      if (wide) place_ = 0;
    }
    place_ = 0;
    chunk_.batches = batches() - chunk_.first_batch;
    chunk_.externals = static_cast<std::uint32_t>(plan_.externals.size()) - chunk_.first_external;
    for (std::uint32_t i = 0; i < chunk_.externals; ++i) {
      external_[plan_.externals[chunk_.first_external + i]] = none;
    }
    plan_.scratch_bytes =
        std::max(plan_.scratch_bytes,
                 TriangularView::scratch_head +
                     sizeof(double) * (std::size_t{1} + chunk_.rows + chunk_.externals));
    plan_.chunks.push_back(chunk_);
  }

 private:
  [[nodiscard]] std::uint32_t length(std::uint32_t row) const {
    return static_cast<std::uint32_t>(t_.offsets[row + std::size_t{1}] - t_.offsets[row]);
  }
  [[nodiscard]] std::uint32_t batches() const {
    return static_cast<std::uint32_t>(plan_.metas.size() / batch_rows);
  }

  void begin_batch() {
    const std::size_t positions = plan_.metas.size() + batch_rows;
    plan_.metas.resize(positions, TriangularView::no_row);
    plan_.scales.resize(positions, 1.0);
    plan_.codes.resize(positions * plan_.width, 0);
    plan_.factors.resize(positions * plan_.width, 0.0);
    place_ = 0;
    plan_.early_begin.resize(positions + 1, static_cast<std::uint32_t>(plan_.early_codes.size()));
  }

  void add_row(std::uint32_t row, bool wide) {
    const std::size_t position = plan_.metas.size() - batch_rows + place_++;
    const std::uint32_t latest = wide ? 0 : std::min(length(row), plan_.width);
    const std::uint64_t end = t_.offsets[row + std::size_t{1}];
    const std::uint64_t early_end = end - latest;
    std::uint32_t meta = row - chunk_.first_row;
    if (exported_[row]) meta |= TriangularView::exported;
    if (t_.offsets[row] != early_end) meta |= TriangularView::has_early;
    if (wide) meta |= TriangularView::wide;
    plan_.metas[position] = meta;
    plan_.scales[position] = t_.scales[row];
    for (std::uint64_t e = t_.offsets[row]; e < early_end; ++e) {
      plan_.early_codes.push_back(code(t_.rows_read[e]));
      plan_.early_factors.push_back(t_.factors[e]);
    }
    std::fill(plan_.early_begin.begin() + static_cast<std::ptrdiff_t>(position) + 1,
              plan_.early_begin.end(), static_cast<std::uint32_t>(plan_.early_codes.size()));
    std::size_t entry = position / batch_rows * batch_rows * plan_.width + position % batch_rows;
    for (std::uint64_t e = early_end; e < end; ++e, entry += batch_rows) {
      plan_.codes[entry] = code(t_.rows_read[e]);
      plan_.factors[entry] = t_.factors[e];
    }
  }

  std::uint32_t code(std::uint32_t other) {
    if (other >= chunk_.first_row) return other - chunk_.first_row + 1;
    if (external_[other] == none) {
      const std::size_t count = plan_.externals.size() - chunk_.first_external;
      if (1 + chunk_.rows + count >= room_) {
        plan_.has_far = true;
        return other | TriangularView::far_code;
      }
      external_[other] = static_cast<std::uint32_t>(count);
      plan_.externals.push_back(other);
    }
    return 1 + chunk_.rows + external_[other];
  }

  const Elimination& t_;
  TriangularPlan& plan_;
  std::size_t room_;  // values in scratch
  std::vector<bool> exported_;
  std::vector<std::uint32_t> external_;  // number among the chunk's externals
  TriangularChunk chunk_{};
  std::uint32_t place_ = 0;  // rows in the last batch
};

}  // namespace

TriangularPlan plan_triangular(const Elimination& t, const TriangularShape& shape) {
  TriangularPlan plan;
  plan.chunk_rows = choose_chunk_rows(t, shape);
  plan.width = choose_width(t);
  const std::uint32_t chunks = (t.rows() + plan.chunk_rows - 1) / plan.chunk_rows;
  // Dealt to their chunks, rows stay in the order of levels.
  std::vector<std::uint32_t> rows(t.rows());
  std::vector<std::uint32_t> dealt(chunks, 0);
  for (const std::uint32_t row : by_level(t)) {
    const std::uint32_t c = row / plan.chunk_rows;
    rows[std::size_t{c} * plan.chunk_rows + dealt[c]++] = row;
  }
  Layout layout(t, shape, plan);
  for (std::uint32_t c = 0; c < chunks; ++c) {
    layout.add(std::span(rows).subspan(std::size_t{c} * plan.chunk_rows, dealt[c]));
  }
  return plan;
}

}  // namespace aatgs::linear
