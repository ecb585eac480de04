// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace aatgs::soak {

/// A piece of a part after which more memory was in use than ever before in the part.
struct MemoryStep {
  std::uint64_t piece = 0;   ///< counted from 0
  std::uint64_t before = 0;  ///< the most bytes in use till then
  std::uint64_t after = 0;
  std::string about;  ///< the piece, in words

  [[nodiscard]] std::uint64_t bytes() const { return after - before; }
};

/// How much memory was in use at moments at which it should always be the same: before the first
/// piece of a part and after each.
class MemorySeries {
 public:
  /// A rise over the most by less than this is no step.
  static constexpr std::uint64_t least_step = 1U << 20;
  /// So many steps are kept; the others are only counted.
  static constexpr std::size_t most_steps = 64;

  /// `about`: the piece that ran before this sample, in words.
  void add(std::uint64_t bytes, const std::string& about = {});

  [[nodiscard]] std::size_t size() const { return samples_.size(); }
  [[nodiscard]] std::uint64_t first() const { return samples_.empty() ? 0 : samples_.front(); }
  [[nodiscard]] std::uint64_t last() const { return samples_.empty() ? 0 : samples_.back(); }
  /// Up to so many samples, evenly spread over all.
  [[nodiscard]] std::vector<std::uint64_t> outline(std::size_t count) const;
  /// Bytes per sample, by least squares, without the first quarter, in which caches fill.
  [[nodiscard]] double slope() const;
  /// Median of the last quarter less that of the second; empty with fewer than 16 samples. Steps
  /// in the first quarter are no part of it.
  [[nodiscard]] std::optional<std::int64_t> growth() const;

  /// The first steps. Memory that creeps up by less than `least_step` a piece makes none.
  [[nodiscard]] const std::vector<MemoryStep>& steps() const { return steps_; }
  /// Of all steps, those that are not kept too.
  [[nodiscard]] std::uint64_t step_count() const { return step_count_; }
  [[nodiscard]] const std::optional<MemoryStep>& last_step() const { return last_step_; }

 private:
  void add_step(MemoryStep step);
  [[nodiscard]] std::int64_t median(std::size_t begin, std::size_t end) const;

  std::vector<std::uint64_t> samples_;
  std::uint64_t most_ = 0;
  std::vector<MemoryStep> steps_;
  std::uint64_t step_count_ = 0;
  std::optional<MemoryStep> last_step_;
};

}  // namespace aatgs::soak
